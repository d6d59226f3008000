// The scopes that a link asks for.
#pragma once

#include <cstddef>
#include <string_view>

namespace common
{

// They go into the query of a redirect, and providers accept some kB there.
inline constexpr std::size_t kMaxScopesBytes = 4096;

// Names of visible ASCII except '"' and '\', separated by single spaces; at least one
// (RFC 6749, section 3.3).
bool are_scopes(std::string_view text) noexcept;

} // namespace common
