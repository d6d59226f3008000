#include "endpoints/router.hpp"

#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/pages.hpp"
#include "http/parameters.hpp"

namespace sidecar::endpoints
{

namespace
{

using http::Audience;
using http::Request;
using http::Response;

// A proxy can pass on the public URL's path, or remove it.
std::string_view without_prefix(std::string_view path, std::string_view public_url)
{
	const std::size_t host = public_url.find("://") + 3;
	const std::size_t slash = public_url.find('/', host);
	if (slash == std::string_view::npos)
		return path;
	const std::string_view prefix = public_url.substr(slash);
	if (path.starts_with(prefix) && path.substr(prefix.size()).starts_with('/'))
		path.remove_prefix(prefix.size());
	return path;
}

bool is_read(const Request &request)
{
	return request.method == "GET" || request.method == "HEAD";
}

// One path has two forms: a link that a user opens, and a call that asks for such a link. A
// call without its token must get 401.
bool is_api_call(const Request &request)
{
	return request.audience == Audience::api || request.has_authorization ||
		   http::Parameters::parse_only(request.query, {{"workspace_id"}, {}}).has("workspace_id");
}

Response named(std::string_view endpoint, Response response)
{
	response.endpoint = endpoint;
	return response;
}

} // namespace

Response hardened(Response response)
{
	response.with("Cache-Control", "no-store")
		.with("Content-Security-Policy", content_security_policy())
		.with("Referrer-Policy", "no-referrer")
		.with("X-Content-Type-Options", "nosniff")
		.with("X-Frame-Options", "DENY");
	return response;
}

boost::asio::awaitable<Response> Router::answer(Request request)
{
	Response response = co_await route(request);
	co_return hardened(std::move(response));
}

boost::asio::awaitable<Response> Router::route(const Request &request)
{
	const std::string_view path = without_prefix(request.path, context_.settings.public_url);
	constexpr std::string_view flows = "/oauth/";
	if (path.starts_with(flows)) {
		Response response = co_await route_provider(request, path.substr(flows.size()));
		co_return response;
	}
	const bool known = path == "/healthz" || path == "/readyz" ||
					   (path == "/metrics" && request.audience != Audience::browser);
	if (!known)
		co_return error_response(Error::not_found, request.id);
	if (!is_read(request))
		co_return method_not_allowed(request.id, "GET, HEAD");
	if (path == "/healthz")
		co_return named("healthz", health());
	if (path == "/metrics")
		co_return named("metrics", Response(200, "text/plain; version=0.0.4; charset=utf-8",
											context_.metrics.text(gauges_())));
	Response response = co_await readiness(context_, request);
	co_return named("readyz", std::move(response));
}

boost::asio::awaitable<Response> Router::route_provider(const Request &request,
														std::string_view path)
{
	const std::size_t slash = path.find('/');
	const std::string_view provider = path.substr(0, slash);
	const std::string_view action =
		slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
	const bool has_browser = request.audience != Audience::api;
	const bool has_api = request.audience != Audience::browser;
	const bool is_get = request.method == "GET";
	Response response;

	if (action == "authorize" && has_api && is_api_call(request)) {
		if (!is_get)
			co_return named("authorize_link", method_not_allowed(request.id, "GET"));
		response = co_await authorize_link(context_, request, provider);
		co_return named("authorize_link", std::move(response));
	}
	if (action == "authorize" && has_browser) {
		if (!is_read(request))
			co_return named("authorize", method_not_allowed(request.id, "GET, HEAD"));
		response = co_await authorize(context_, request, provider);
		co_return named("authorize", std::move(response));
	}
	if (action == "callback" && has_browser) {
		if (!is_get)
			co_return named("callback", method_not_allowed(request.id, "GET"));
		response = co_await callback(context_, recent_, request, provider);
		co_return named("callback", std::move(response));
	}
	if (action == "done" && has_browser) {
		if (!is_read(request))
			co_return named("done", method_not_allowed(request.id, "GET, HEAD"));
		const bool known = context_.registry.find(provider) != nullptr;
		co_return named("done", known ? done(request) : page(Page::unknown));
	}
	if (action == "status" && has_api) {
		if (!is_get)
			co_return named("status", method_not_allowed(request.id, "GET"));
		response = co_await status(context_, request, provider);
		co_return named("status", std::move(response));
	}
	if (action == "token" && has_api) {
		if (!is_get && request.method != "DELETE")
			co_return named("token", method_not_allowed(request.id, "GET, DELETE"));
		if (is_get)
			response = co_await token(context_, request, provider);
		else
			response = co_await delete_token(context_, request, provider);
		co_return named("token", std::move(response));
	}
	co_return error_response(Error::not_found, request.id);
}

} // namespace sidecar::endpoints
