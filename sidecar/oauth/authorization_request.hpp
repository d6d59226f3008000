// The address at the provider to which a browser is sent: RFC 6749 section
// 4.1.1, RFC 7636 section 4.3, OpenID Connect Core 3.1.2.1.
#pragma once

#include <string>
#include <string_view>

#include "oauth/attempt.hpp"
#include "oauth/provider.hpp"

namespace sidecar::oauth
{

// Keeps the endpoint's own query. `response_mode` is never sent. The nonce is sent if
// `openid` is asked for, the challenge unless the provider's block says `pkce = false`.
// `authorize_params` cannot replace a parameter of the protocol.
std::string authorization_address(const Provider &provider, const ProviderEndpoints &endpoints,
								  std::string_view redirect_uri, const OpenedAttempt &attempt);

// <public url>/oauth/<provider>/callback, with the base name: one address that is
// registered at the provider serves every label.
std::string redirect_uri(std::string_view public_url, std::string_view provider_name);

} // namespace sidecar::oauth
