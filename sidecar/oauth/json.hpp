// JSON from outside: bounded in depth, read by paths, and strict about doubled keys
// unless the reader asks which they are.
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

// Memory that is wiped when it is given back, for values that hold secrets.
boost::json::storage_ptr wiped_memory();

// Nothing if the text is not one JSON value, is deeper than `max_depth`, or
// an object in it names a key twice. The value and all that parsing took is in
// wiped memory; a copy of it is where the copy's maker says.
std::optional<boost::json::value> parse_json(std::string_view text, int max_depth = 16);

// The same of what a provider wrote, whose grant must not be lost for a name that was cut
// in the middle of a character: U+FFFD stands for each byte that is no UTF-8, and for
// each half of a surrogate pair. Of a doubled key the last value counts, and its name is
// in `doubled`: the reader knows whether it matters.
struct LooseJson {
	boost::json::value value;
	std::set<std::string> doubled;
};
std::optional<LooseJson> parse_loose_json(std::string_view text, int max_depth = 16);

Secret serialize_secret(const boost::json::value &value);

// The text without a UTF-8 byte order mark at its start, which RFC 8259 section 8.1
// lets a reader ignore.
std::string_view without_bom(std::string_view text) noexcept;

// The member at "a.b.c", or `value` itself at ""; nullptr if there is none. In an
// array a part is an element's index, from 0: "data.0.token".
const boost::json::value *find_path(const boost::json::value &value, std::string_view path);

// The member's text where it is a non-empty string.
std::optional<std::string_view> find_string(const boost::json::value &value, std::string_view path);

} // namespace sidecar::oauth
