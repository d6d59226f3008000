// GET /oauth/{provider}/callback: does what oauth::CallbackFlow says, step by
// step, and reports each result to it.

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

using oauth::Action;
using oauth::CallbackFlow;

Awaitable<Action> claim(Context &context, RecentCallbacks &recent, const http::Request &request,
						CallbackFlow &flow, const oauth::ClaimAttempt &claim)
{
	std::optional<oauth::ClaimedAttempt> attempt;
	try {
		attempt = co_await context.browser_store.claim(claim);
	} catch (const database::StoreError &error) {
		database_error_response(error, request); // for its log line
		co_return flow.failed("the database did not claim the attempt");
	}
	if (attempt)
		recent.begin(claim, RecentCallbacks::Clock::now());
	co_return flow.claimed(std::move(attempt));
}

Awaitable<Action> exchange(Context &context, CallbackFlow &flow, const std::string &provider,
						   oauth::Exchange exchange)
{
	const auto started = std::chrono::steady_clock::now();
	const oauth::ProviderAnswer answer = co_await context.client.send(std::move(exchange.request));
	context.metrics.provider_call(provider, "token",
								  std::chrono::duration_cast<std::chrono::microseconds>(
									  std::chrono::steady_clock::now() - started));
	co_return flow.answered(answer, context.now() / 1000);
}

Awaitable<Action> store(Context &context, const http::Request &request, CallbackFlow &flow,
						const std::string &provider, const oauth::StoreGrant &grant)
{
	for (const std::string &warning : grant.grant.warnings)
		log::warning("parts of the token answer were not understood",
					 {{"request_id", std::string_view(request.id)},
					  {"provider", std::string_view(provider)},
					  {"detail", std::string_view(warning)}});
	try {
		oauth::StoreResult result =
			co_await context.browser_store.store(grant.ticket_hash, grant.grant);
		co_return flow.stored(std::move(result));
	} catch (const database::StoreError &error) {
		database_error_response(error, request); // for its log line
	}
	co_return flow.failed("the database did not store the grant");
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
									const std::optional<oauth::ClaimAttempt> &claimed)
{
	using State = RecentCallbacks::State;
	const auto state =
		claimed ? recent.find(*claimed, RecentCallbacks::Clock::now()) : std::nullopt;
	if (!state)
		return page(Page::bad_request);
	return page(*state == State::finished ? Page::finished : Page::under_way);
}

} // namespace

Awaitable<http::Response> callback(Context &context, RecentCallbacks &recent,
								   const http::Request &request, std::string_view provider_name)
{
	const oauth::Provider *provider = context.registry.find(provider_name);
	if (provider == nullptr)
		co_return page(Page::unknown);
	if (request.is_prefetch)
		co_return page(Page::unavailable);
	// Nothing has been consumed yet: if the user reloads the page, it may still succeed.
	const CallbackLimiter::Slot slot = context.callback_limiter.enter(provider->name);
	if (!slot)
		co_return page(Page::unavailable);

	const settings::Settings &settings = context.settings;
	const std::optional<oauth::ProviderEndpoints> endpoints =
		co_await context.registry.endpoints(*provider);
	const CallbackFlow::Config config{settings.public_url, settings.return_to_origins, *provider,
									  endpoints};
	CallbackFlow flow(config);
	const http::FlowCookies cookies =
		http::FlowCookies::parse(request.cookie, settings.public_url.starts_with("http://"));

	Action action = flow.start(request.query, cookies);
	std::optional<oauth::ClaimAttempt> claimed;
	if (auto *next = std::get_if<oauth::ClaimAttempt>(&action)) {
		claimed = *next;
		action = co_await claim(context, recent, request, flow, *claimed);
	}
	if (auto *next = std::get_if<oauth::Exchange>(&action))
		action = co_await exchange(context, flow, provider->name, std::move(*next));
	if (auto *next = std::get_if<oauth::StoreGrant>(&action))
		action = co_await store(context, request, flow, provider->name, *next);

	const oauth::End &end = std::get<oauth::End>(action);
	const bool is_good =
		end.outcome == oauth::Outcome::connected || end.outcome == oauth::Outcome::confirm;
	if (claimed && flow.attempt())
		recent.end(*claimed, is_good);
	if (end.outcome == oauth::Outcome::connected)
		co_await context.cache.evict(flow.attempt()->link.identity);
	log_end(request, *provider, flow, end);
	context.metrics.flow(provider->name, oauth::name_of(end.outcome));
	// Nothing was decided: the same address may still work, so the cookie stays.
	if (end.outcome == oauth::Outcome::unavailable && !flow.attempt())
		co_return page(Page::unavailable);
	http::Response response =
		end.location.empty() ? page_without_attempt(recent, claimed) : http::Response(303, "", "");
	if (!end.location.empty())
		response.with("Location", end.location);
	for (std::string &cookie : cookies.clear(flow.state()))
		response.with("Set-Cookie", std::move(cookie));
	co_return response;
}

} // namespace sidecar::endpoints
