// The request that exchanges a code for a token: RFC 6749 section 4.1.3, RFC 7636 section 4.5.
#pragma once

#include <optional>
#include <string_view>

#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"

namespace sidecar::oauth
{

// How the client authenticates: as block or preset say, or else by the first of basic and
// post that the metadata offers. Basic if it does not say (RFC 8414 section 2), or if there
// is none.
TokenAuth token_auth_of(const Provider &provider,
						const std::optional<ProviderEndpoints> &endpoints);

// What is wrong with that, for --check: a fixed text. Empty if nothing is.
std::string_view token_auth_fault(const Provider &provider, const ProviderEndpoints &endpoints);

// `token_endpoint` is the one recorded with the attempt. `code_verifier` is left out if the
// provider's block says `pkce = false`.
ProviderRequest token_request(const Provider &provider, std::string_view token_endpoint,
							  std::string_view redirect_uri, std::string_view code,
							  std::string_view code_verifier, TokenAuth auth);

} // namespace sidecar::oauth
