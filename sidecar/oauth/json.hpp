// Reads JSON from outside: bounded in depth, by paths, and strict about doubled keys unless
// the caller asks for their names.
#pragma once

#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "common/secret_string.hpp"

namespace sidecar::oauth
{

// Memory that is wiped when it is freed, for values that contain secrets.
boost::json::storage_ptr wiped_memory();

// Nothing if the text is not one JSON value, is deeper than `max_depth`, or
// an object in it names a key twice. The value, and everything that parsing needs,
// is in wiped memory. A copy is in the memory that its maker chooses.
std::optional<boost::json::value> parse_json(std::string_view text, int max_depth = 16);

// The same for a provider's answer. Its grant must not be lost because a name was cut in the
// middle of a character, so U+FFFD replaces each byte that is not UTF-8, and each half of a
// surrogate pair. If a key is doubled, the last value counts, and `doubled` has its name: the
// caller knows whether it matters.
struct LooseJson {
	boost::json::value value;
	std::set<std::string> doubled;
};
std::optional<LooseJson> parse_loose_json(std::string_view text, int max_depth = 16);

common::Secret serialize_secret(const boost::json::value &value);

// The text without a UTF-8 byte order mark at its start, which RFC 8259 section 8.1
// lets a reader ignore.
std::string_view without_bom(std::string_view text) noexcept;

// The member at "a.b.c", or `value` itself at ""; nullptr if there is none. For
// an array, a part is an element's index, from 0: "data.0.token".
const boost::json::value *find_path(const boost::json::value &value, std::string_view path);

// The member's text, if it is a non-empty string.
std::optional<std::string_view> find_string(const boost::json::value &value, std::string_view path);

} // namespace sidecar::oauth
