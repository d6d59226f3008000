// A call of the API after its caller and its identity are checked.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "endpoints/context.hpp"
#include "http/parameters.hpp"
#include "http/request.hpp"
#include "oauth/attempt.hpp"
#include "oauth/provider.hpp"

namespace sidecar::endpoints
{

struct ApiRequest {
	const oauth::Provider &provider;
	oauth::Identity identity; // workspace_id in lower case
	http::Parameters parameters;
};

// Each of these throws HttpError.

// Checks, in this order: one Authorization header with a token that we know
// (401), query and identity (400), a provider that is configured (404), what the
// token may do (403). `provider_name` is the one in the path, `own` are the
// endpoint's parameters besides the identity. Any other is 400, because it would be ignored.
ApiRequest read_api_request(const ShardContext &context, const http::Request &request,
							std::string_view provider_name, settings::ApiToken::Call call,
							std::initializer_list<std::string_view> own = {});

// A whole number from 0 to ten years of seconds; `otherwise` if the parameter is absent.
long long read_seconds(const http::Parameters &parameters, std::string_view name,
					   long long otherwise);
// true or false; nothing if it is absent.
std::optional<bool> read_flag(const http::Parameters &parameters, std::string_view name);
// A SHA-256 in hexadecimal digits; nothing if it is absent.
std::optional<common::Digest> read_digest(const http::Parameters &parameters,
										  std::string_view name);

} // namespace sidecar::endpoints
