// A provider's metadata (OpenID Connect Discovery 1.0, RFC 8414).
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"

namespace sidecar::oauth
{

// <issuer>/.well-known/openid-configuration, without a doubled slash.
std::string metadata_address(std::string_view issuer);

// The provider's endpoints: those in its settings win over the document's. A
// fixed text says why not: the answer is no such document, another issuer (they
// are compared as strings), an endpoint that is neither https nor on loopback,
// a list of PKCE methods without S256 where PKCE is on.
std::variant<Endpoints, std::string_view> read_metadata(const Provider &provider,
														const ProviderAnswer &answer);

// https, or http to a loopback host (localhost, 127.0.0.0/8, [::1]); no userinfo, no fragment.
bool is_endpoint(std::string_view url) noexcept;

} // namespace sidecar::oauth
