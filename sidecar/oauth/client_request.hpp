// A POST to one of a provider's endpoints in which the client says who it is
// (RFC 6749 section 2.3): what the requests for tokens have in common.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"

namespace sidecar::oauth
{

// Views: what they show lives as long as the request is made.
using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

// `fields` are what the protocol says; `others`, of the settings, do not replace
// them. The body is a form or JSON, as the provider wants it. Basic authentication
// form-encodes both halves first (RFC 6749 section 2.3.1).
ProviderRequest client_request(const Provider &provider, std::string_view endpoint, Fields fields,
							   const Pairs &others, TokenAuth auth);

// What the Authorization header says of the client, for Redactor::hide().
Secret basic_credentials(const Provider &provider);

} // namespace sidecar::oauth
