// Writes a JSON object as text, member by member, so that a token is copied only once, into
// memory that its owner wipes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sidecar::endpoints
{

// The names of members are literals without escapes.
class JsonObject
{
public:
	// With room for so many bytes; more are moved, and wiped here.
	explicit JsonObject(std::size_t expected = 256);

	JsonObject &add(std::string_view name, std::string_view text);
	JsonObject &add(std::string_view name, const char *text)
	{
		return add(name, std::string_view(text));
	}
	JsonObject &add(std::string_view name, const std::optional<std::string> &text); // or null
	JsonObject &add(std::string_view name, bool value);
	JsonObject &add(std::string_view name, long long value);
	// Seconds since 1970 UTC as 2026-11-22T09:32:37+00:00, or null.
	JsonObject &add_time(std::string_view name, const std::optional<double> &seconds);
	// `json` is JSON already; empty: null.
	JsonObject &add_json(std::string_view name, std::string_view json);

	std::string finish() &&;

private:
	void start(std::string_view name);
	void grow(std::size_t more);

	std::string text_;
};

} // namespace sidecar::endpoints
