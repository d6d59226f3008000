// GET /oauth/{provider}/token: the access token, never the refresh token. It comes
// from the cache, or from the database, and then fills the cache. If it expires too soon, it
// is refreshed (docs/design/refresh.md, "When").

#include <boost/json/parse.hpp>

#include <cmath>

#include "endpoints/api_request.hpp"
#include "endpoints/details.hpp"
#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

namespace
{

// The default of min_ttl, as that of oauth_fresh_access_token().
constexpr long long kMinTtl = 60;
// How long a caller waits for a refresh if there is a valid token.
constexpr std::chrono::seconds kPatience{5};
constexpr long long kLongestRetry = 3600;

struct Wish {
	long long min_ttl = kMinTtl; // seconds
	bool force = false;          // the stored token was refused, even if it has not expired
	std::optional<common::Digest> if_token_sha256; // ... if it still is this one
};

// Times in seconds since 1970 UTC.
http::Response token_response(const common::Secret &access_token,
							  const std::optional<double> &expires_at, double now,
							  const std::optional<std::string> &scopes, const std::string &details)
{
	constexpr std::size_t kOthers = 256; // bytes of the other members
	JsonObject body(access_token.size() + (scopes ? scopes->size() : 0) + details.size() + kOthers);
	body.add("access_token", access_token.reveal())
		.add("token_type", "Bearer")
		.add_time("expires_at", expires_at);
	if (expires_at)
		body.add("expires_in", static_cast<long long>(std::floor(*expires_at - now)));
	else
		body.add_json("expires_in", {});
	body.add("scopes", scopes);
	add_details(body, details);
	return http::Response(200, "application/json", std::move(body).finish());
}

http::Response token_response(const database::StoredToken &token, double now)
{
	return token_response(token.access_token, token.expires_at, now, token.scopes, token.details);
}

// If the cached token does not, the database is asked, which may have a newer one.
bool lives_for(const cache_entry::Entry &entry, long long seconds, double now)
{
	return !entry.expires_at ||
		   static_cast<double>(*entry.expires_at) - now > static_cast<double>(seconds);
}

// Seconds from its issue to its expiry; 0: unknown.
double lifetime_of(const std::string &details)
{
	boost::system::error_code error;
	const boost::json::value value = boost::json::parse(details, error);
	const auto *object = error ? nullptr : value.if_object();
	const auto *lifetime = object != nullptr ? object->if_contains("lifetime") : nullptr;
	return lifetime != nullptr && lifetime->is_number() ? lifetime->to_number<double>() : 0;
}

bool is_valid(const database::StoredToken &token, double now)
{
	return !token.expires_at || *token.expires_at > now;
}

// oauth_refresh_begin() decides, and has the same rule for the first half of a token's life.
// This check saves calling it each time if tokens never live as long as a caller wants.
bool is_good(const database::StoredToken &token, const Wish &wish)
{
	if (wish.force)
		return false;
	if (!token.expires_at)
		return true;
	const double left = *token.expires_at - token.now;
	return left > static_cast<double>(wish.min_ttl) ||
		   (left > 0 && left > lifetime_of(token.details) / 2 && lifetime_of(token.details) > 0);
}

Wish read_wish(const http::Parameters &parameters)
{
	const Wish wish{read_seconds(parameters, "min_ttl", kMinTtl),
					read_flag(parameters, "force").value_or(false),
					read_digest(parameters, "if_token_sha256")};
	if (wish.if_token_sha256 && !wish.force) // it would be ignored
		throw HttpError{Error::invalid_request, "if_token_sha256"};
	return wish;
}

// Why there is no valid token.
HttpError refusal_of(const refresh::Outcome &outcome)
{
	using Kind = refresh::Outcome::Kind;
	const std::string reason(outcome.reason);
	const long long retry_in =
		std::clamp<long long>(outcome.retry_in ? outcome.retry_in->count() : 2, 1, kLongestRetry);
	switch (outcome.kind) {
	case Kind::not_connected:
		return {Error::not_connected};
	case Kind::no_refresh_token:
		return {Error::reauthorization_required, "no_refresh_token"};
	case Kind::needs_reauthorization:
		// The provider's words are in /status.
		return {Error::reauthorization_required, reason.substr(0, reason.find(':'))};
	case Kind::refreshed:
	case Kind::fresh:
		return {Error::provider_error, "the provider's new token has expired already", retry_in};
	default:
		return {outcome.is_providers_fault ? Error::provider_error : Error::unavailable, reason,
				retry_in};
	}
}

// The stored token expires too soon, or was refused. Returns a new one; or this one, while it
// is valid; or why there is none.
Awaitable<http::Response> refresh_token(ShardContext &context, const http::Request &request,
										const ApiRequest &call, Wish wish,
										database::StoredToken found)
{
	using Kind = refresh::Outcome::Kind;
	const auto read = std::chrono::steady_clock::now();
	const auto now = [&] {
		const std::chrono::duration<double> since = std::chrono::steady_clock::now() - read;
		return found.now + since.count();
	};
	const bool may_serve_old = !wish.force && is_valid(found, found.now);
	if (!found.has_refresh_token) {
		if (may_serve_old)
			co_return token_response(found, found.now);
		throw HttpError{Error::reauthorization_required, "no_refresh_token"};
	}
	database::WantedRefresh wanted;
	wanted.identity = call.identity;
	wanted.min_ttl = std::chrono::seconds(wish.min_ttl);
	wanted.force = wish.force;
	// A forced refresh replaces the token that is stored now: if many callers force, one refresh
	// serves all.
	if (wish.force)
		wanted.if_token_sha256 =
			wish.if_token_sha256.value_or(common::sha256(found.access_token.reveal()));
	const std::chrono::milliseconds patience =
		may_serve_old ? kPatience : context.refresher.patience();
	refresh::Outcome outcome = co_await context.refresher.refresh(std::move(wanted), patience);

	std::optional<database::StoredToken> current;
	std::optional<HttpError> failure;
	try {
		current = co_await context.api_store.token(call.identity, false);
	} catch (const database::StoreError &error) {
		failure = http_error(error, request.id);
	}
	// A refresh that is not stored yet may have ended the old token.
	const bool is_dead = outcome.kind == Kind::unsaved && call.provider.refresh_kills_access;
	if (failure && may_serve_old && !is_dead && is_valid(found, now()))
		co_return token_response(found, now());
	if (failure)
		throw *failure;
	if (!current)
		throw HttpError{Error::not_connected};
	const bool is_new = !current->access_token.equals(found.access_token.reveal()) ||
						outcome.kind == Kind::refreshed || outcome.kind == Kind::fresh;
	if (is_valid(*current, current->now) && (is_new || (may_serve_old && !is_dead)))
		co_return token_response(*current, current->now);
	throw refusal_of(outcome);
}

// The cache has none that lives long enough.
Awaitable<http::Response> stored_token(ShardContext &context, const http::Request &request,
									   const ApiRequest &call, Wish wish,
									   std::optional<cache::FillLease> lease)
{
	std::optional<database::StoredToken> found;
	std::optional<HttpError> failure;
	try {
		found =
			co_await context.api_store.token(call.identity, context.cache.keeps_refresh_tokens());
	} catch (const database::StoreError &error) {
		failure = http_error(error, request.id);
	}
	const bool is_done = !found || is_good(*found, wish);
	// A token that is about to be refreshed is not worth caching.
	const bool is_kept = found && (is_done || !(wish.force || found->has_refresh_token));
	if (lease)
		context.cache.fill(std::move(*lease), is_kept ? &*found : nullptr);
	if (failure)
		throw *failure;
	if (!found)
		throw HttpError{Error::not_connected};
	if (is_done)
		co_return token_response(*found, found->now);
	co_return co_await refresh_token(context, request, call, wish, std::move(*found));
}

} // namespace

// What a hit does not need is in coroutines of its own: the frame of this one is taken at each
// request.
Awaitable<http::Response> token(ShardContext &context, const http::Request &request,
								std::string_view provider_name)
{
	ApiRequest call = read_api_request(context, request, provider_name, settings::ApiToken::token,
									   {"min_ttl", "force", "if_token_sha256"});
	const Wish wish = read_wish(call.parameters);
	call.parameters.clear(); // so that this memory serves other requests meanwhile

	cache::Lookup cached;
	if (!wish.force)
		co_await context.cache.look_up(call.identity, cached);
	const double now = static_cast<double>(context.now()) / 1000;
	if (cached.hit && lives_for(cached.hit->entry, wish.min_ttl, now)) {
		const cache_entry::Entry &entry = cached.hit->entry;
		co_return token_response(entry.access_token, entry.expires_at, now, entry.scope,
								 cached.hit->details);
	}

	co_return co_await stored_token(context, request, call, wish, std::move(cached.lease));
}

} // namespace sidecar::endpoints
