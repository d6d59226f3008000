// GET /healthz: this process answers. GET /readyz: the database answers, too, and has the
// the extension and our settings in it. It also tells how the cache is. GET /metrics.

#include "base/log.hpp"
#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

Awaitable<http::Response> health(ShardContext &, const http::Request &, std::string_view)
{
	co_return http::Response(200, "application/json", R"({"status":"ok"})");
}

namespace
{

// Less than the log says: host and user are not for everybody.
constexpr std::string_view kAway = "the database does not answer; the log says why";
constexpr std::string_view kUnpublished =
	"the database does not know the settings of this daemon yet; the log says why";

// A probe every second must not write a line into the log each time.
void log_change(const database::Readiness &now)
{
	static database::Readiness last;
	if (now.fault != last.fault && !now.fault.empty() && !now.is_away)
		log::error("not ready", {{"reason", std::string_view(now.fault)}});
	if (now.fault.empty() && !last.fault.empty() && !last.is_away)
		log::info("ready again");
	if (now.warning != last.warning && !now.warning.empty())
		log::warning("the database is not set up as it should be",
					 {{"reason", std::string_view(now.warning)}});
	last = now;
}

} // namespace

Awaitable<http::Response> readiness(Context &context, const http::Request &, std::string_view)
{
	database::Readiness found = co_await context.browser_store.readiness();
	// Not at each request, because anybody can ask.
	if (found.fault.empty() && !context.api_connected())
		found = co_await context.api_store.readiness();
	if (found.fault.empty() && !context.published())
		found.fault = kUnpublished;
	log_change(found);
	if (!found.fault.empty())
		throw HttpError{Error::unavailable, found.is_away ? std::string(kAway) : found.fault};
	JsonObject body;
	body.add("status", "ready").add("database", "ok");
	// Without the cache, tokens come from the database, so the daemon is still ready.
	if (const cache::CacheState state = context.cache.state(); state != cache::CacheState::none)
		body.add("cache", cache::name_of(state));
	if (!found.warning.empty())
		body.add("warning", std::string_view(found.warning));
	co_return http::Response(200, "application/json", std::move(body).finish());
}

Awaitable<http::Response> metrics(Context &context, const http::Request &, std::string_view)
{
	const Metrics::Gauges gauges = context.gauges();
	co_return http::Response(200, "text/plain; version=0.0.4; charset=utf-8",
							 context.metrics.text(gauges));
}

} // namespace sidecar::endpoints
