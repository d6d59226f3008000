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

// The provider's endpoints: those in its settings win over the document's. Or a
// fixed text that says why not: the answer is no such document, names another issuer (they
// are compared as strings), has an endpoint that is not https, or is_local() (unless the
// issuer is local, too), or, if PKCE is on, a list of PKCE methods without S256.
std::variant<ProviderEndpoints, std::string_view> read_metadata(const Provider &provider,
																const ProviderAnswer &answer);

// https, or http to a loopback host (localhost, 127.0.0.0/8, [::1]); no userinfo, no fragment.
bool is_endpoint(std::string_view url);

// Whether an endpoint's host is this one: localhost and names below it, 127.0.0.0/8,
// 0.0.0.0/8, ::1, ::, in every spelling that a resolver accepts. (TLS protects other
// names and private addresses: the certificate must fit.)
bool is_local(std::string_view url);

} // namespace sidecar::oauth
