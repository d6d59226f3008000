// The endpoints of docs/design/flow.md. Each has a file of its own. `provider` is the name in
// the path, as sent.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string_view>

#include "endpoints/context.hpp"
#include "endpoints/recent_callbacks.hpp"
#include "http/request.hpp"
#include "http/response.hpp"

namespace sidecar::endpoints
{

template <typename T>
using Awaitable = boost::asio::awaitable<T>;

// For browsers: these answer with pages and redirects.
Awaitable<http::Response> authorize(Context &context, const http::Request &request,
									std::string_view provider);
Awaitable<http::Response> callback(Context &context, RecentCallbacks &recent,
								   const http::Request &request, std::string_view provider);
http::Response done(const http::Request &request);

// For back ends with an API token: these answer with JSON.
Awaitable<http::Response> authorize_link(Context &context, const http::Request &request,
										 std::string_view provider);
Awaitable<http::Response> status(Context &context, const http::Request &request,
								 std::string_view provider);
Awaitable<http::Response> token(Context &context, const http::Request &request,
								std::string_view provider);
Awaitable<http::Response> delete_token(Context &context, const http::Request &request,
									   std::string_view provider);

// For operators.
http::Response health();
Awaitable<http::Response> readiness(Context &context, const http::Request &request);

} // namespace sidecar::endpoints
