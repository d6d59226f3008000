// JSON from outside: bounded in depth, without doubled keys, and read by paths.
#pragma once

#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "secret.hpp"

namespace sidecar::oauth
{

// Memory that is wiped when it is given back, for values that hold secrets.
boost::json::storage_ptr wiped_memory();

// Nothing where the text is not one JSON value, is deeper than `max_depth`, or
// an object in it names a key twice. The value and all that parsing took is in
// wiped memory; a copy of it is where the copy's maker says.
std::optional<boost::json::value> parse_json(std::string_view text, int max_depth = 16);

Secret serialize_secret(const boost::json::value &value);

// The text without a UTF-8 byte order mark at its start, which RFC 8259 section 8.1
// lets a reader ignore.
std::string_view without_bom(std::string_view text) noexcept;

// The member at "a.b.c", or `value` itself at ""; nullptr where there is none. In an
// array a part is an element's index, from 0: "data.0.token".
const boost::json::value *find_path(const boost::json::value &value, std::string_view path);

// The member's text where it is a non-empty string.
std::optional<std::string_view> find_string(const boost::json::value &value, std::string_view path);

} // namespace sidecar::oauth
