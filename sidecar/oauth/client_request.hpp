// A POST to one of a provider's endpoints, with the client's authentication (RFC 6749
// section 2.3). All requests for tokens use it.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"

namespace sidecar::oauth
{

// Views. The texts must live until the request is made.
using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

// `fields` are those of the protocol; `others`, of the settings, do not replace them. The
// body is a form or JSON, as the provider's block says. Basic authentication
// form-encodes both halves first (RFC 6749 section 2.3.1).
ProviderRequest client_request(const Provider &provider, std::string_view endpoint, Fields fields,
							   const Pairs &others, TokenAuth auth);

// The Authorization header's value, for Redactor::hide().
common::Secret basic_credentials(const Provider &provider);

} // namespace sidecar::oauth
