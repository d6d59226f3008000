#include "endpoints/router.hpp"

#include <algorithm>

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

// One path has two forms: a link that a user opens, and a call that asks for such a link. A
// call without its token must get 401.
bool is_api_call(const Request &request)
{
	return request.audience == Audience::api || request.has_authorization ||
		   http::Parameters::parse_only(request.query, {{"workspace_id"}, {}}).has("workspace_id");
}

struct Route {
	std::string_view name; // for log and metrics
	std::string_view path; // or what comes behind /oauth/{provider}/
	Audience audience;
	std::string_view methods; // as Allow has them
	ShardEndpoint *of_shard;  // answered by every shard; null: by none
	Endpoint *of_first;       // by the first alone; null: none. If there are both, GET is of_shard

	bool is_of_shard(const Request &request) const
	{
		return of_first == nullptr || (of_shard != nullptr && request.method == "GET");
	}
};

constexpr Route kRoutes[] = {
	{"authorize_link", "authorize", Audience::api, "GET", authorize_link, nullptr},
	{"authorize", "authorize", Audience::browser, "GET, HEAD", nullptr, authorize},
	{"callback", "callback", Audience::browser, "GET", nullptr, callback},
	{"done", "done", Audience::browser, "GET, HEAD", nullptr, done},
	{"status", "status", Audience::api, "GET", status, nullptr},
	{"token", "token", Audience::api, "GET, DELETE", token, delete_token},
	{"healthz", "/healthz", Audience::everything, "GET, HEAD", health, nullptr},
	{"readyz", "/readyz", Audience::everything, "GET, HEAD", nullptr, readiness},
	{"metrics", "/metrics", Audience::api, "GET, HEAD", nullptr, metrics},
};

bool is_for(const Route &route, const Request &request, std::string_view path)
{
	const bool is_audience = request.audience == Audience::everything ||
							 route.audience == Audience::everything ||
							 request.audience == route.audience;
	return route.path == path && is_audience &&
		   (route.of_shard != authorize_link || is_api_call(request));
}

bool has_method(std::string_view methods, std::string_view method)
{
	while (!methods.empty()) {
		const std::string_view one = methods.substr(0, methods.find(", "));
		if (one == method)
			return true;
		methods.remove_prefix(std::min(methods.size(), one.size() + 2));
	}
	return false;
}

// Nothing if there is none. `provider` is the one in the path.
const Route *find_route(const Request &request, std::string_view public_url,
						std::string_view &provider)
{
	constexpr std::string_view kFlows = "/oauth/";
	std::string_view path = without_prefix(request.path, public_url);
	if (path.starts_with(kFlows)) {
		path.remove_prefix(kFlows.size());
		provider = path.substr(0, path.find('/'));
		path.remove_prefix(std::min(path.size(), provider.size() + 1));
		if (path.starts_with('/')) // not /oauth/{provider}//healthz
			path = {};
	}
	const auto *found = std::ranges::find_if(
		kRoutes, [&](const Route &route) { return is_for(route, request, path); });
	return found == std::end(kRoutes) ? nullptr : found;
}

Response refusal_of(const Route &route, const HttpError &error, const Request &request)
{
	return route.audience == Audience::browser ? page(Page::unavailable)
											   : error_response(error, request.id);
}

Response wrong_method(const Route &route, const Request &request)
{
	Response response = error_response({Error::method_not_allowed}, request.id);
	response.with("Allow", std::string(route.methods));
	return response;
}

} // namespace

Response hardened(Response response)
{
	static const std::string lines = "Cache-Control: no-store\r\n"
									 "Content-Security-Policy: " +
									 content_security_policy() +
									 "\r\n"
									 "Referrer-Policy: no-referrer\r\n"
									 "X-Content-Type-Options: nosniff\r\n"
									 "X-Frame-Options: DENY\r\n";
	response.fixed_headers = lines;
	return response;
}

boost::asio::awaitable<Response> Router::answer(Request &&request)
{
	std::string_view provider;
	const Route *const route = find_route(request, shard_.settings.public_url, provider);
	if (route == nullptr)
		co_return hardened(error_response({Error::not_found}, request.id));
	const bool is_of_shard = route->is_of_shard(request);
	if (!first_ && !is_of_shard) {
		auto asking = ask_first_(std::move(request));
		co_return co_await std::move(asking);
	}
	Response response;
	try {
		if (has_method(route->methods, request.method)) {
			auto answer = is_of_shard ? route->of_shard(shard_, request, provider)
									  : route->of_first(*first_, request, provider);
			response = co_await std::move(answer);
		} else {
			response = wrong_method(*route, request);
		}
	} catch (const HttpError &error) {
		response = refusal_of(*route, error, request);
	} catch (const database::StoreError &error) {
		response = refusal_of(*route, http_error(error, request.id), request);
	}
	response.endpoint = route->name;
	co_return hardened(std::move(response));
}

} // namespace sidecar::endpoints
