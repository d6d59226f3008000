// Log lines: one JSON object each, on standard error. There is no way to put a
// Secret into one. They are UTF-8, whatever a text from outside contains.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace sidecar::log
{

enum class Level { debug, info, warning, error };

// False if the name is none of debug, info, warning, error.
bool set_level(std::string_view name) noexcept;

struct Field {
	std::string_view name;
	std::variant<std::string_view, std::int64_t, double> value;
};

// {"time":"2026-11-23T06:00:00.123Z","level":"info","message":…, fields…}
void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});

inline void info(std::string_view message, std::initializer_list<Field> fields = {})
{
	write(Level::info, message, fields);
}
inline void warning(std::string_view message, std::initializer_list<Field> fields = {})
{
	write(Level::warning, message, fields);
}
inline void error(std::string_view message, std::initializer_list<Field> fields = {})
{
	write(Level::error, message, fields);
}

} // namespace sidecar::log
