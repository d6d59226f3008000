// Where a browser may be sent when a flow has ended (docs/design/threats.md, F6), and the public
// URL that paths are relative to. The database checks it when a link is made, and the daemon
// checks it again. Nothing here allocates.
//
// Names are compared as browsers do (RFC 3986, and the WHATWG URL standard if
// browsers differ from it). If one of them might read an address in another way, it is
// refused, not corrected.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace common
{

inline constexpr std::size_t kMaxUrlBytes = 2048;

// An entry of the list of allowed origins, in lower case and without a path:
// "https://app.example.com:8443", "https://*.example.com" (the star is exactly
// one label, and at least two labels follow), "http://localhost:3000" (http is
// for localhost, 127.0.0.0/8 and [::1] only).
bool is_origin_pattern(std::string_view pattern) noexcept;

// https, or http on loopback; a path prefix is allowed, with or without a slash
// at its end; user, query and fragment are not.
bool is_public_url(std::string_view url) noexcept;

// "https://host:port" of a public URL.
std::string_view origin_of(std::string_view public_url) noexcept;

// Whether return_to is a path (on the public URL's origin), or a URL on an origin that
// matches one of these patterns.
bool return_to_allowed(std::string_view return_to,
					   std::span<const std::string_view> origins) noexcept;

} // namespace common
