// The log's text for an error code of a provider.
#pragma once

#include <string_view>

namespace sidecar::oauth
{

// A fixed text for the codes of RFC 6749 (4.1.2.1, 5.2), OpenID Connect Core
// 3.1.2.6 and RFC 7636; one for all others, so that nothing from outside is logged.
std::string_view error_reason(std::string_view code) noexcept;

} // namespace sidecar::oauth
