// A call of the API after its caller and its identity are checked.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "endpoints/context.hpp"
#include "http/parameters.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "oauth/attempt.hpp"
#include "oauth/provider.hpp"

namespace sidecar::endpoints
{

struct ApiRequest {
	const oauth::Provider &provider;
	oauth::Identity identity; // workspace_id in lower case
	http::Parameters parameters;
};

// Checks, in this order: one Authorization header with a token that we know
// (401), query and identity (400), a provider that is configured (404), what the
// token may do (403). `provider_name` is the one in the path, `own` are the
// endpoint's parameters besides the identity. Any other is 400, because it would be ignored.
std::variant<ApiRequest, http::Response>
read_api_request(const Context &context, const http::Request &request,
				 std::string_view provider_name, settings::ApiToken::Call call,
				 std::initializer_list<std::string_view> own = {});

// Nothing if the parameter is absent. A Response if it is no whole number from 0 to ten years
// of seconds.
std::variant<long long, http::Response> read_seconds(const http::Parameters &parameters,
													 std::string_view name, long long otherwise,
													 std::string_view request_id);

// false if it is absent. A Response if it is neither true nor false.
std::variant<bool, http::Response> read_flag(const http::Parameters &parameters,
											 std::string_view name, std::string_view request_id);

// A SHA-256 in hexadecimal digits. Nothing if it is absent; a Response if it is malformed.
std::variant<std::optional<oauth::Digest>, http::Response>
read_digest(const http::Parameters &parameters, std::string_view name, std::string_view request_id);

} // namespace sidecar::endpoints
