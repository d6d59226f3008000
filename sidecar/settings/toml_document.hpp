// A TOML file as a tree of plain values. The parser's own types take 10 seconds
// to compile and stay in one source file; and what the tree holds is wiped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "settings/diagnostics.hpp"

namespace sidecar::settings
{

struct TomlMember;
using TomlTable = std::vector<TomlMember>; // in the order of their names

struct TomlValue {
	struct Other {
	}; // a date or a time, which no setting is
	std::variant<Other, bool, std::int64_t, double, std::string, std::vector<TomlValue>, TomlTable>
		data;

	TomlValue() = default;
	TomlValue(TomlValue &&) noexcept = default;
	TomlValue &operator=(TomlValue &&) noexcept = default;
	~TomlValue();
};

struct TomlMember {
	std::string key;
	TomlValue value;
};

// Nothing where `text` is not TOML; the error then names `setting` and tells the
// line, and nothing of what stands there. Wipes `text`.
std::optional<TomlTable> parse_toml(std::string &text, std::string_view setting,
									Diagnostics &diagnostics);

} // namespace sidecar::settings
