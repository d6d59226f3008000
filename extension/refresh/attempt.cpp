#include "refresh/attempt.hpp"

#include "common/fernet.hpp"
#include "errors.hpp"
#include "keys/refresh_token_digest.hpp"
#include "keys/sealed_columns.hpp"
#include "keys/sealed_value.hpp"
#include "postgres/owner_query.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// Nobody needs as many as these: each is two minutes after the one before.
constexpr int kMostAttempts = 100;

bool new_spool_key(SpoolKey &key)
{
	const auto made = common::fernet::Key::generate();
	if (made)
		made->write(key);
	return made.has_value();
}

int64 next_fence()
{
	static MemberQuery statement = {
		"SELECT pg_catalog.nextval('oauth_tokens_internal.refresh_fences'::pg_catalog.regclass)"};
	run_as_owner(statement, {});
	return DatumGetInt64(returned(1));
}

SealedSlot place_of(const int64 &fence, const pg_uuid_t &token_id)
{
	return {kSpoolPurpose, spool_key_name(Int64GetDatum(fence), UUIDPGetDatum(&token_id))};
}

// OFFSET 0: by the index on the token, and not in the order of the one on fences.
void trim_attempts(const pg_uuid_t &token_id)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.refresh_attempts WHERE fence OPERATOR(pg_catalog.=)"
		" ANY (ARRAY(SELECT fence FROM (SELECT fence FROM oauth_tokens_internal.refresh_attempts"
		" WHERE token_id OPERATOR(pg_catalog.=) $1 OFFSET 0) a ORDER BY fence DESC OFFSET $2))"};
	run_as_owner(statement, {as::uuid(&token_id), as::int8(kMostAttempts - 1)});
}

// Plain data alone: nothing here may raise while a key is alive.
enum class Unsealed { opened, not_opened, bad_key };

Unsealed unseal(std::string_view key_text, std::string_view sealed, Spooled *spooled)
{
	try {
		const auto key = common::fernet::Key::parse(key_text);
		if (!key)
			return Unsealed::bad_key;
		common::fernet::Cipher cipher(*key);
		auto envelope = common::fernet::Envelope::decode(
			sealed, {reinterpret_cast<unsigned char *>(spooled->data), spooled->capacity});
		if (!envelope || !cipher.verify(*envelope))
			return Unsealed::not_opened;
		const auto plaintext = cipher.decrypt(*envelope);
		if (!plaintext)
			return Unsealed::not_opened;
		spooled->size = plaintext->size();
		return Unsealed::opened;
	} catch (...) {
		return Unsealed::bad_key;
	}
}

} // namespace

int64 begin_attempt(const LockedToken &token, const GrantOwner &owner, TimestampTz now,
					TimestampTz lease_until, SpoolKey &key)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.refresh_attempts (fence, token_id, workspace_id,"
		" provider, actor_type, actor_id, access_token_digest, refresh_token_digest, sealed,"
		" began_at, lease_until, account_id, issuer, client_id)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"};
	trim_attempts(token.id);
	if (!new_spool_key(key))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL could not make a key"),
						errhint("Its random generator may be exhausted; try again.")));
	const int64 fence = next_fence();
	run_as_owner(statement,
				 {as::int8(fence),
				  as::uuid(&token.id),
				  {UUIDOID, token.identity.workspace_id()},
				  {TEXTOID, token.identity.provider()},
				  {TEXTOID, actor_type_text(token.identity)},
				  {TEXTOID, token.identity.actor_id()},
				  as::bytea(refresh_token_digest(token.access_token, token.id)),
				  as::bytea(refresh_token_digest(token.refresh_token, token.id)),
				  as::text(seal_in_flow({key, sizeof key}, place_of(fence, token.id), unix_now())),
				  as::timestamptz(now),
				  as::timestamptz(lease_until),
				  as::text(owner.account_id),
				  as::text(owner.issuer),
				  as::text(owner.client_id)});
	return fence;
}

// An attempt that has begun after the transaction's snapshot was taken is not over: what
// called it so would have its caller throw the answer away.
static void refuse_older_snapshot(int64 fence)
{
	static MemberQuery statement = {
		"SELECT FROM oauth_tokens_internal.refresh_attempts WHERE fence OPERATOR(pg_catalog.=) $1"};
	if (!IsolationUsesXactSnapshot() || look_as_owner(statement, {as::int8(fence)}) == 0)
		return;
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("this transaction cannot see the attempt at a refresh"),
					errdetail("The attempt has begun after the transaction's snapshot was taken."),
					errhint("Try again in a new transaction.")));
}

bool find_attempt(int64 fence, const Identity &identity, const pg_uuid_t &token_id,
				  Attempt *attempt)
{
	static MemberQuery statement = {
		"SELECT token_id, access_token_digest, refresh_token_digest, sealed, stored_over,"
		" began_at, lease_until, account_id, issuer, client_id"
		" FROM oauth_tokens_internal.refresh_attempts WHERE fence OPERATOR(pg_catalog.=) $1"
		" AND (token_id OPERATOR(pg_catalog.=) $6"
		" OR workspace_id OPERATOR(pg_catalog.=) $2 AND provider OPERATOR(pg_catalog.=) $3"
		" AND actor_type OPERATOR(pg_catalog.=) $4 AND actor_id OPERATOR(pg_catalog.=) $5)"};
	if (run_as_owner(statement, {as::int8(fence),
								 {UUIDOID, identity.workspace_id()},
								 {TEXTOID, identity.provider()},
								 {TEXTOID, actor_type_text(identity)},
								 {TEXTOID, identity.actor_id()},
								 as::uuid(&token_id)}) == 0) {
		refuse_older_snapshot(fence);
		return false;
	}
	attempt->fence = fence;
	attempt->token_id = *DatumGetUUIDP(returned(1));
	attempt->access_token_digest = DatumGetByteaPCopy(returned(2));
	attempt->refresh_token_digest = DatumGetByteaPCopy(returned(3));
	attempt->sealed = DatumGetTextPCopy(returned(4));
	attempt->stored_over = DatumGetBool(returned(5));
	attempt->began_at = DatumGetTimestampTz(returned(6));
	attempt->lease_until = DatumGetTimestampTz(returned(7));
	attempt->owner = {returned_text(8), returned_text(9), returned_text(10)};
	return true;
}

bool has_spent(const Attempt &attempt, const text *refresh_token)
{
	return is_digest_of_plain(attempt.refresh_token_digest, refresh_token, attempt.token_id);
}

bool has_spent_token(const Attempt &attempt, const LockedToken &token)
{
	return memcmp(&attempt.token_id, &token.id, sizeof token.id) == 0 &&
		   token.refresh_token != nullptr && has_spent(attempt, token.refresh_token);
}

bool has_both_tokens(const Attempt &attempt, const LockedToken &token)
{
	return has_spent_token(attempt, token) &&
		   is_digest_of_plain(attempt.access_token_digest, token.access_token, token.id);
}

Attempts attempts_at(const LockedToken &token, TimestampTz now, int64 but)
{
	static MemberQuery statement = {
		"SELECT fence, refresh_token_digest, began_at, lease_until FROM (SELECT *"
		" FROM oauth_tokens_internal.refresh_attempts WHERE token_id OPERATOR(pg_catalog.=) $1"
		" OFFSET 0) a ORDER BY fence"};
	const std::uint64_t rows = run_as_owner(statement, {as::uuid(&token.id)});
	SPITupleTable *found = SPI_tuptable;
	Attempts attempts = {};
	for (std::uint64_t row = 0; row < rows; row++) {
		bool is_null;
		const auto column = [&](int number) {
			return SPI_getbinval(found->vals[row], found->tupdesc, number, &is_null);
		};
		const int64 fence = DatumGetInt64(column(1));
		if (fence == but)
			continue;
		if (token.refresh_token == nullptr ||
			!is_digest_of_plain(DatumGetByteaPP(column(2)), token.refresh_token, token.id)) {
			delete_attempt(fence);
			continue;
		}
		const TimestampTz began = DatumGetTimestampTz(column(3));
		const TimestampTz lease = DatumGetTimestampTz(column(4));
		attempts.last = fence;
		if (lease > now)
			attempts.lease_until = Max(attempts.lease_until, lease);
		else if (attempts.in_doubt_since == 0 || began < attempts.in_doubt_since)
			attempts.in_doubt_since = began;
	}
	return attempts;
}

void store_over_attempts(const pg_uuid_t &token_id)
{
	static MemberQuery statement = {
		"UPDATE oauth_tokens_internal.refresh_attempts SET stored_over = true WHERE token_id"
		" OPERATOR(pg_catalog.=) $1"};
	run_as_owner(statement, {as::uuid(&token_id)});
}

void leave_in_doubt(int64 fence, TimestampTz now)
{
	static MemberQuery statement = {
		"UPDATE oauth_tokens_internal.refresh_attempts SET lease_until = $2"
		" WHERE fence OPERATOR(pg_catalog.=) $1"};
	run_as_owner(statement, {as::int8(fence), as::timestamptz(now)});
}

void delete_attempt(int64 fence)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.refresh_attempts WHERE fence OPERATOR(pg_catalog.=) $1"};
	run_as_owner(statement, {as::int8(fence)});
}

void delete_attempts(const pg_uuid_t &token_id)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.refresh_attempts WHERE token_id"
		" OPERATOR(pg_catalog.=) $1"};
	run_as_owner(statement, {as::uuid(&token_id)});
}

Spooled open_spooled(const Attempt &attempt, const text *sealed)
{
	const OpenedInFlow key =
		open_in_flow(attempt.sealed, place_of(attempt.fence, attempt.token_id));
	if (key.data == nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_TOKEN_NOT_DECRYPTABLE),
				 errmsg("no key opens the spool key of attempt " INT64_FORMAT, attempt.fence),
				 errhint("The key that it was sealed under has left the ring: add it again.")));
	Spooled spooled = {nullptr, 0, common::fernet::decoded_capacity(view_of(sealed).size())};
	spooled.data = static_cast<char *>(palloc(spooled.capacity));
	const Unsealed outcome = unseal(key.view(), view_of(sealed), &spooled);
	wipe_opened(key);
	if (outcome == Unsealed::opened)
		return spooled;
	wipe_spooled(spooled);
	if (outcome == Unsealed::bad_key)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL could not take a key")));
	ereport(ERROR, (errcode(ERRCODE_SPOOL_TEXT_INVALID),
					errmsg("the sealed answer does not open with the key of its attempt"),
					errdetail("It is damaged, or of another attempt."),
					errhint("Keep the file aside: it cannot be used here.")));
	pg_unreachable();
}

void wipe_spooled(const Spooled &spooled)
{
	common::wipe(spooled.data, spooled.capacity);
}

} // namespace oauth_tokens
