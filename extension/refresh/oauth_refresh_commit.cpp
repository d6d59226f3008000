// oauth_refresh_commit and oauth_refresh_replay: a refresh that the provider has answered.

#include <openssl/crypto.h>

#include "errors.hpp"
#include "postgres/durable_commit.hpp"
#include "postgres/function.hpp"
#include "postgres/member_query.hpp"
#include "refresh/client.hpp"
#include "refresh/cluster.hpp"
#include "refresh/ended_attempt.hpp"
#include "refresh/spooled_answer.hpp"
#include "refresh/state.hpp"
#include "refresh/stored_details.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_store.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

enum Argument {
	kFence = kIdentityColumns,
	kAccessToken,
	kRefreshToken,
	kExpiresIn,
	kScopes,
	kDetails,
	kSealed = kAccessToken // of oauth_refresh_replay
};

const text *text_argument(FunctionCallInfo fcinfo, Argument argument)
{
	return PG_ARGISNULL(argument) ? nullptr : PG_GETARG_TEXT_PP(argument);
}

RefreshedGrant read_grant(FunctionCallInfo fcinfo)
{
	refuse_null_argument(fcinfo, kAccessToken, "access_token");
	RefreshedGrant grant = {};
	grant.access_token = text_argument(fcinfo, kAccessToken);
	grant.refresh_token = text_argument(fcinfo, kRefreshToken);
	grant.scopes = text_argument(fcinfo, kScopes);
	grant.details = PG_ARGISNULL(kDetails) ? nullptr : PG_GETARG_JSONB_P(kDetails);
	grant.expires = !PG_ARGISNULL(kExpiresIn);
	if (grant.expires)
		grant.expires_at = expiry_from_now(PG_GETARG_INT64(kExpiresIn));
	return grant;
}

bool is_same(const text *one, const text *other)
{
	if (one == nullptr || other == nullptr)
		return one == other;
	const std::string_view a = view_of(one);
	const std::string_view b = view_of(other);
	return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Somebody whose answer got lost says it again.
bool is_repeat(const EndedAttempt &ended, const RefreshedGrant &grant)
{
	return is_same(grant.access_token, ended.token.access_token) &&
		   (grant.refresh_token == nullptr ||
			is_same(grant.refresh_token, ended.token.refresh_token));
}

// All that is kept of attempts ends with the first one that succeeds.
const char *store_answer(const TokenTable &table, const LockedToken &token,
						 const RefreshedGrant &grant)
{
	const TimestampTz now = GetCurrentTimestamp();
	const RefreshClient client = {token.identity.provider(),
								  stored_details(table, token).client_id};
	const bool rotated =
		grant.refresh_token != nullptr && !is_same(grant.refresh_token, token.refresh_token);
	update_token(table, token, grant, now);
	forget_refresh(token.id);
	client_succeeded(client, rotated, now);
	return "committed";
}

const char *commit_attempt(const TokenTable &table, const EndedAttempt &ended,
						   const Identity &identity, int64 fence, const RefreshedGrant &grant)
{
	if (!ended.has_row)
		return end_without_row(table, ended, identity, grant.refresh_token);
	if (ended.is_hidden)
		return "superseded";
	if (!ended.is_known)
		return is_repeat(ended, grant) ? "committed" : "superseded";
	// The attempt stays as long as the row has the refresh token that it has spent: if a
	// later attempt fails, or if only the access token is another one, a replay is needed.
	if (!has_spent_token(ended.attempt, ended.token)) {
		delete_attempt(fence);
		return "superseded";
	}
	if (ended.attempt.stored_over || !has_both_tokens(ended.attempt, ended.token) ||
		attempts_at(ended.token, GetCurrentTimestamp(), fence).last > fence)
		return "superseded";
	return store_answer(table, ended.token, grant);
}

const char *commit(const TokenTable &table, const Identity &identity, int64 fence,
				   const RefreshedGrant &grant)
{
	const EndedAttempt ended = find_ended(table, identity, fence);
	const char *outcome = commit_attempt(table, ended, identity, fence, grant);
	wipe_token(ended.token);
	return outcome;
}

const char *replay(const TokenTable &table, const Identity &identity, int64 fence,
				   const text *sealed)
{
	const EndedAttempt ended = find_ended(table, identity, fence);
	if (!ended.is_known) {
		wipe_token(ended.token);
		return "superseded";
	}
	refuse_hidden_row(ended);
	const SpooledAnswer answer = read_spooled(ended.attempt, sealed);
	const char *outcome = nullptr;
	if (!ended.has_row) {
		outcome = end_without_row(table, ended, identity, answer.grant.refresh_token);
	} else if (!has_spent_token(ended.attempt, ended.token)) {
		delete_attempt(fence);
		outcome = "superseded";
	} else if (attempts_at(ended.token, GetCurrentTimestamp(), fence).lease_until != 0) {
		outcome = "busy";
	} else {
		outcome = store_answer(table, ended.token, answer.grant);
	}
	wipe_answer(answer);
	wipe_token(ended.token);
	return outcome;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_SECRET_FUNCTION(oauth_refresh_commit)
{
	PreventCommandIfReadOnly("oauth_refresh_commit()");
	const TokenTable &table = use_tables(Use::write);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	refuse_null_argument(fcinfo, kFence, "fence");
	const RefreshedGrant grant = read_grant(fcinfo);
	SPI_connect();
	check_cluster();
	commit_durably();
	const char *outcome = commit(table, identity, PG_GETARG_INT64(kFence), grant);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(outcome));
}

OAUTH_FUNCTION(oauth_refresh_replay)
{
	PreventCommandIfReadOnly("oauth_refresh_replay()");
	const TokenTable &table = use_tables(Use::write);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	refuse_null_argument(fcinfo, kFence, "fence");
	refuse_null_argument(fcinfo, kSealed, "sealed");
	SPI_connect();
	check_cluster();
	commit_durably();
	const char *outcome =
		replay(table, identity, PG_GETARG_INT64(kFence), text_argument(fcinfo, kSealed));
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(outcome));
}
