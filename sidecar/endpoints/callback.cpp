// GET /oauth/{provider}/callback (docs/design/flow.md, "Callback").

#include "base/log.hpp"
#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/pages.hpp"
#include "http/cookies.hpp"
#include "oauth/callback_flow.hpp"

namespace sidecar::endpoints
{

namespace
{

using oauth::CallbackFlow;
using oauth::Outcome;

Awaitable<oauth::ProviderAnswer> redeem_code(Context &context, const std::string &provider,
											 oauth::ProviderRequest request)
{
	const auto started = std::chrono::steady_clock::now();
	oauth::ProviderAnswer answer = co_await context.client.send(std::move(request));
	context.metrics.provider_call(provider, "token",
								  std::chrono::duration_cast<std::chrono::microseconds>(
									  std::chrono::steady_clock::now() - started));
	co_return answer;
}

void log_warnings(const http::Request &request, const std::string &provider,
				  const oauth::Grant &grant)
{
	for (const std::string &warning : grant.warnings)
		log::warning("parts of the token answer were not understood",
					 {{"request_id", std::string_view(request.id)},
					  {"provider", std::string_view(provider)},
					  {"detail", std::string_view(warning)}});
}

// The steps. Their order is the promise: nothing is claimed for a request that is malformed,
// a wrong browser consumes nothing, and no code goes out before browser, issuer and error have
// been looked at. A check that fails throws the end of the flow.
Awaitable<oauth::End> finish_flow(Context &context, const http::Request &request,
								  const http::FlowCookies &cookies, CallbackFlow &flow,
								  const std::string &provider)
{
	const oauth::ClaimAttempt claim = flow.start(request.query, cookies);
	std::optional<oauth::ClaimedAttempt> attempt = co_await context.browser_store.claim(claim);
	if (attempt)
		context.recent_callbacks.begin(claim, RecentCallbacks::Clock::now());
	oauth::ProviderRequest code_for_token = flow.claimed(std::move(attempt));
	const oauth::ProviderAnswer answer =
		co_await redeem_code(context, provider, std::move(code_for_token));
	const oauth::Grant grant = flow.answered(answer, context.now() / 1000);
	log_warnings(request, provider, grant);
	oauth::StoreResult stored =
		co_await context.browser_store.store(flow.attempt()->ticket_hash, grant);
	oauth::End end = flow.stored(std::move(stored));
	if (end.outcome == Outcome::connected)
		co_await context.cache.evict(flow.attempt()->link.identity);
	co_return end;
}

void log_end(const http::Request &request, const oauth::Provider &provider,
			 const CallbackFlow &flow, const oauth::End &end)
{
	const std::string_view workspace =
		flow.attempt() ? std::string_view(flow.attempt()->link.identity.workspace_id)
					   : std::string_view();
	if (!flow.ignored_issuer().empty())
		log::warning("iss came, and no issuer is known to compare it with: it was ignored; "
					 "'issuer' in the provider's block has it compared",
					 {{"request_id", std::string_view(request.id)},
					  {"provider", std::string_view(provider.name)},
					  {"iss", std::string_view(flow.ignored_issuer())}});
	const log::Level level =
		oauth::is_failure(end.outcome) ? log::Level::warning : log::Level::info;
	const oauth::ProviderWords &words = end.words;
	if (words.code.empty() && words.description.empty() && words.status == 0)
		log::write(level, "a flow has ended",
				   {{"request_id", std::string_view(request.id)},
					{"provider", std::string_view(provider.name)},
					{"workspace_id", workspace},
					{"outcome", oauth::name_of(end.outcome)},
					{"reason", end.reason}});
	else
		log::write(level, "a flow has ended",
				   {{"request_id", std::string_view(request.id)},
					{"provider", std::string_view(provider.name)},
					{"workspace_id", workspace},
					{"outcome", oauth::name_of(end.outcome)},
					{"reason", end.reason},
					{"provider_error", std::string_view(words.code)},
					{"provider_description", std::string_view(words.description)},
					{"provider_status", std::int64_t(words.status)}});
}

// The page for a browser without an open attempt.
http::Response page_without_attempt(const RecentCallbacks &recent,
									const std::optional<oauth::ClaimAttempt> &claim)
{
	using State = RecentCallbacks::State;
	const auto state = claim ? recent.find(*claim, RecentCallbacks::Clock::now()) : std::nullopt;
	if (!state)
		return page(Page::bad_request);
	return page(*state == State::finished ? Page::finished : Page::under_way);
}

http::Response response_to(const RecentCallbacks &recent, const CallbackFlow &flow,
						   const oauth::End &end)
{
	if (end.location.empty())
		return page_without_attempt(recent, flow.claim());
	http::Response response(303, "", "");
	response.with("Location", end.location);
	return response;
}

} // namespace

Awaitable<http::Response> callback(Context &context, const http::Request &request,
								   std::string_view provider_name)
{
	const oauth::Provider *provider = context.registry.find(provider_name);
	if (provider == nullptr)
		co_return page(Page::unknown);
	if (request.is_prefetch)
		co_return page(Page::unavailable);
	// Before anything is consumed: a browser that loads this page again may still succeed.
	const CallbackLimiter::Slot slot = context.callback_limiter.enter(provider->name);
	if (!slot)
		co_return page(Page::unavailable);

	const settings::Settings &settings = context.settings;
	const std::optional<oauth::ProviderEndpoints> endpoints =
		co_await context.registry.endpoints(*provider);
	const http::FlowCookies cookies = read_cookies(context, request);
	CallbackFlow flow({settings.public_url, settings.return_to_origins, *provider, endpoints});
	oauth::End end;
	try {
		auto finished = finish_flow(context, request, cookies, flow, provider->name);
		end = co_await std::move(finished);
	} catch (oauth::End &ended) {
		end = std::move(ended);
	} catch (const database::StoreError &error) {
		http_error(error, request.id); // for its log line
		end = flow.failed(flow.attempt() ? "the database did not store the grant"
										 : "the database did not claim the attempt");
	}

	const bool is_good = end.outcome == Outcome::connected || end.outcome == Outcome::confirm;
	if (flow.attempt())
		context.recent_callbacks.end(*flow.claim(), is_good);
	log_end(request, *provider, flow, end);
	context.metrics.flow(provider->name, oauth::name_of(end.outcome));
	// Nothing was decided: the same address may still work, so the cookie stays.
	if (end.outcome == Outcome::unavailable && !flow.attempt())
		co_return page(Page::unavailable);
	http::Response response = response_to(context.recent_callbacks, flow, end);
	for (std::string &cookie : cookies.clear(flow.state()))
		response.with("Set-Cookie", std::move(cookie));
	co_return response;
}

} // namespace sidecar::endpoints
