// The endpoints of docs/design/flow.md. Each has a file of its own. `provider` is the name in
// the path, as sent.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string_view>

#include "endpoints/context.hpp"
#include "http/cookies.hpp"
#include "http/request.hpp"
#include "http/response.hpp"

namespace sidecar::endpoints
{

template <typename T>
using Awaitable = boost::asio::awaitable<T>;

// They throw HttpError and database::StoreError.
using Endpoint = Awaitable<http::Response>(Context &context, const http::Request &request,
										   std::string_view provider);
// Answered by every shard.
using ShardEndpoint = Awaitable<http::Response>(ShardContext &context, const http::Request &request,
												std::string_view provider);

// For browsers: these answer with pages and redirects.
Endpoint authorize, callback, done;

inline http::FlowCookies read_cookies(const Context &context, const http::Request &request)
{
	return http::FlowCookies::parse(request.cookie,
									context.settings.public_url.starts_with("http://"));
}

// For back ends with an API token: these answer with JSON.
ShardEndpoint authorize_link, status, token;
Endpoint delete_token;

// For operators; `provider` is empty.
ShardEndpoint health;
Endpoint readiness, metrics;

} // namespace sidecar::endpoints
