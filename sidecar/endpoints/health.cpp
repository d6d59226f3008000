// GET /healthz: this process answers. GET /readyz: and the database does, with
// the extension and our settings in it.

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
	co_return http::Response(200, "application/json", R"({"status":"ready","database":"ok"})");
}

} // namespace sidecar::endpoints
