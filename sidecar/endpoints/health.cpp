// GET /healthz: this process answers. GET /readyz: and the database does, with
// the extension and our settings in it. It also tells how the cache is.

#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

http::Response health()
{
	return http::Response(200, "application/json", R"({"status":"ok"})");
}

Awaitable<http::Response> readiness(Context &context, const http::Request &request)
{
	bool ready = false;
	try {
		const bool browsers_can = co_await context.browser_store.is_ready();
		ready = browsers_can && context.api_connected();
		// Not each time: anybody may ask.
		if (browsers_can && !ready)
			ready = co_await context.api_store.is_ready();
	} catch (const database::StoreError &) {
		// The pool logs when the database goes and comes.
	}
	if (!ready || !context.published())
		co_return error_response(Error::unavailable, request.id);
	JsonObject body;
	body.add("status", "ready").add("database", "ok");
	// Without it tokens come from the database, so it makes nothing less ready.
	if (const cache::CacheState state = context.cache.state(); state != cache::CacheState::none)
		body.add("cache", cache::name_of(state));
	co_return http::Response(200, "application/json", std::move(body).finish());
}

} // namespace sidecar::endpoints
