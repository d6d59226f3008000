// Scopes as a link asks for them. Plain C++, shared with the sidecar.
#pragma once

#include <cstddef>
#include <string_view>

namespace flow
{

// They go into the query of a redirect, of which providers take some kB.
inline constexpr std::size_t kMaxScopesBytes = 4096;

// Names of visible ASCII but '"' and '\', separated by single spaces; at least one
// (RFC 6749, section 3.3).
bool are_scopes(std::string_view text) noexcept;

} // namespace flow
