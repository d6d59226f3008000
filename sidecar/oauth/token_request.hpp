// The code for a token: RFC 6749 section 4.1.3, RFC 7636 section 4.5.
#pragma once

#include <string_view>

#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"

namespace sidecar::oauth
{

// `token_endpoint` is the one recorded with the attempt. Basic authentication
// form-encodes both halves first (RFC 6749 section 2.3.1). `code_verifier` is
// left out where the provider's block says `pkce = false`.
ProviderRequest token_request(const Provider &provider, std::string_view token_endpoint,
							  std::string_view redirect_uri, std::string_view code,
							  std::string_view code_verifier);

} // namespace sidecar::oauth
