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

Awaitable<Response> answer_by(const Route &route, ShardContext &shard, Context *first,
							  const Request &request, std::string_view provider)
{
	if (!has_method(route.methods, request.method)) {
		Response response = error_response({Error::method_not_allowed}, request.id);
		response.with("Allow", std::string(route.methods));
		co_return response;
	}
	std::optional<HttpError> refusal;
	try {
		auto answer = route.is_of_shard(request) ? route.of_shard(shard, request, provider)
												 : route.of_first(*first, request, provider);
		co_return co_await std::move(answer);
	} catch (const HttpError &error) {
		refusal = error;
	} catch (const database::StoreError &error) {
		refusal = http_error(error, request.id);
	}
	co_return route.audience == Audience::browser ? page(Page::unavailable)
												  : error_response(*refusal, request.id);
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
	constexpr std::string_view kFlows = "/oauth/";
	std::string_view path = without_prefix(request.path, shard_.settings.public_url);
	std::string_view provider;
	if (path.starts_with(kFlows)) {
		path.remove_prefix(kFlows.size());
		provider = path.substr(0, path.find('/'));
		path.remove_prefix(std::min(path.size(), provider.size() + 1));
		if (path.starts_with('/')) // not /oauth/{provider}//healthz
			path = {};
	}
	for (const Route &route : kRoutes)
		if (is_for(route, request, path)) {
			if (!first_ && !route.is_of_shard(request))
				co_return co_await ask_first_(std::move(request));
			Context *first = first_ ? &*first_ : nullptr;
			Response response = co_await answer_by(route, shard_, first, request, provider);
			response.endpoint = route.name;
			co_return hardened(std::move(response));
		}
	co_return hardened(error_response({Error::not_found}, request.id));
}

} // namespace sidecar::endpoints
