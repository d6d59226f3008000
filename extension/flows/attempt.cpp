// Attempts: one browser on its way through a provider. The sidecar opens one when
// a link is followed, and claims it when the provider sends the browser back.

#include "errors.hpp"
#include "flows/confirmation.hpp"
#include "flows/link.hpp"
#include "keys/sealed_columns.hpp"
#include "keys/sealed_value.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

namespace oauth_tokens
{

namespace
{

constexpr int kMaxAttempts = 5; // a link

struct AttemptSecrets {
	common::RandomSecret state;
	common::RandomSecret browser;
	common::RandomSecret verifier;
	common::RandomSecret nonce;
};

// What is sealed.
struct Sealed {
	common::RandomSecret verifier;
	common::RandomSecret nonce;
};
static_assert(sizeof(Sealed) == 2 * common::kRandomSecretChars);

std::string_view view_of_secret(const common::RandomSecret &secret)
{
	return {secret.data(), secret.size()};
}

// Locks the link, whose label picks no other configuration and so may be left
// out of an address, and has it stand until the new attempt is over. It takes one
// if it is unexpired and among the newest of its identity: calls side by side
// may leave more of them than are open.
bool take_link(Datum ticket_hash, Datum provider, TimestampTz now)
{
	static MemberQuery statement = {
		"UPDATE oauth_tokens_internal.flow_links AS l SET vanishes_at = GREATEST(l.vanishes_at,"
		" $3 OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => l.attempt_seconds"
		" OPERATOR(pg_catalog.+) $4))"
		" WHERE l.ticket_hash OPERATOR(pg_catalog.=) $1"
		" AND (l.provider OPERATOR(pg_catalog.=) $2"
		" OR pg_catalog.split_part(l.provider, '.', 1) OPERATOR(pg_catalog.=) $2)"
		" AND l.expires_at OPERATOR(pg_catalog.>) $3"
		" AND (SELECT pg_catalog.count(*) FROM oauth_tokens_internal.flow_links n"
		" WHERE n.workspace_id OPERATOR(pg_catalog.=) l.workspace_id"
		" AND n.provider OPERATOR(pg_catalog.=) l.provider"
		" AND n.actor_type OPERATOR(pg_catalog.=) l.actor_type"
		" AND n.actor_id OPERATOR(pg_catalog.=) l.actor_id"
		" AND n.expires_at OPERATOR(pg_catalog.>) $3"
		" AND n.created_at OPERATOR(pg_catalog.>) l.created_at) OPERATOR(pg_catalog.<) $5"
		" RETURNING l.workspace_id, l.provider, l.actor_type, l.actor_id, l.scopes, l.return_to,"
		" l.confirm, l.attempt_seconds"};
	return run_as_owner(statement, {{BYTEAOID, ticket_hash},
									{TEXTOID, provider},
									as::timestamptz(now),
									as::int4(kExchangeSeconds),
									as::int8(kMaxOpenLinks)}) > 0;
}

// Makes room for one more under the link's lock.
void trim_attempts(Datum ticket_hash)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.flow_attempts WHERE state_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT state_hash"
		" FROM oauth_tokens_internal.flow_attempts WHERE ticket_hash OPERATOR(pg_catalog.=) $1"
		" ORDER BY created_at DESC, state_hash OFFSET $2))"};
	run_as_owner(statement, {{BYTEAOID, ticket_hash}, as::int8(kMaxAttempts - 1)});
}

text *seal_secrets(const AttemptSecrets &secrets, Datum state_hash, Datum ticket_hash)
{
	Sealed plain = {secrets.verifier, secrets.nonce};
	text *sealed =
		seal_in_flow({reinterpret_cast<const char *>(&plain), sizeof plain},
					 {kAttemptPurpose, attempt_name(state_hash, ticket_hash)}, unix_now());
	common::wipe(&plain, sizeof plain);
	return sealed;
}

// Where the browser goes, and by whom it was configured: arguments of flow_begin.
struct Endpoint {
	Datum issuer;
	bool has_issuer;
	Datum token_endpoint;
	Datum client_id;
};

void insert_attempt(const AttemptSecrets &secrets, Datum ticket_hash, const Endpoint &endpoint,
					TimestampTz now, int seconds)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.flow_attempts (state_hash, browser_hash, ticket_hash,"
		" issuer, token_endpoint, client_id, sealed, created_at, expires_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"};
	const Datum state_hash = bytea_datum(flow_hash_of(view_of_secret(secrets.state)));
	run_as_owner(statement, {{BYTEAOID, state_hash},
							 {BYTEAOID, bytea_datum(flow_hash_of(view_of_secret(secrets.browser)))},
							 {BYTEAOID, ticket_hash},
							 {TEXTOID, endpoint.issuer, !endpoint.has_issuer},
							 {TEXTOID, endpoint.token_endpoint},
							 {TEXTOID, endpoint.client_id},
							 as::text(seal_secrets(secrets, state_hash, ticket_hash)),
							 as::timestamptz(now),
							 as::timestamptz(now + static_cast<int64>(seconds) * USECS_PER_SEC)});
}

void put(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

void open_attempt(FunctionCallInfo fcinfo, TimestampTz now)
{
	constexpr int kOfLink = 7, kColumns = 12;
	const Datum ticket_hash = PG_GETARG_DATUM(0);
	Datum values[kColumns];
	bool nulls[kColumns] = {};
	for (int i = 0; i < kOfLink; i++)
		values[i] = returned(i + 1, &nulls[i]);
	const int seconds = DatumGetInt32(returned(kOfLink + 1));

	AttemptSecrets secrets;
	for (common::RandomSecret *secret :
		 {&secrets.state, &secrets.browser, &secrets.verifier, &secrets.nonce})
		new_flow_secret(*secret);
	trim_attempts(ticket_hash);
	const bool has_issuer = !PG_ARGISNULL(2);
	insert_attempt(
		secrets, ticket_hash,
		{has_issuer ? PG_GETARG_DATUM(2) : 0, has_issuer, PG_GETARG_DATUM(3), PG_GETARG_DATUM(4)},
		now, seconds);
	values[kOfLink] = text_datum(secrets.state);
	values[kOfLink + 1] = text_datum(secrets.browser);
	values[kOfLink + 2] = text_datum(secrets.verifier);
	values[kOfLink + 3] = text_datum(secrets.nonce);
	values[kOfLink + 4] = Int32GetDatum(seconds);
	common::wipe(&secrets, sizeof secrets);
	put(fcinfo, values, nulls);
	for (int i = kOfLink; i < kOfLink + 4; i++)
		common::wipe(DatumGetPointer(values[i]), VARSIZE(DatumGetPointer(values[i])));
}

// One atomic statement: a second caller, or one with another browser, finds nothing and uses
// nothing up.
bool delete_attempt(Datum state_hash, Datum browser_hash, Datum provider)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.flow_attempts a USING oauth_tokens_internal.flow_links l"
		" WHERE a.state_hash OPERATOR(pg_catalog.=) $1"
		" AND a.browser_hash OPERATOR(pg_catalog.=) $2"
		" AND a.expires_at OPERATOR(pg_catalog.>) $4"
		" AND l.ticket_hash OPERATOR(pg_catalog.=) a.ticket_hash"
		" AND (l.provider OPERATOR(pg_catalog.=) $3"
		" OR pg_catalog.split_part(l.provider, '.', 1) OPERATOR(pg_catalog.=) $3)"
		" RETURNING l.ticket_hash, l.workspace_id, l.provider, l.actor_type, l.actor_id, l.scopes,"
		" l.return_to, l.confirm, a.sealed, a.issuer, a.token_endpoint, a.client_id"};
	return run_as_owner(statement, {{BYTEAOID, state_hash},
									{BYTEAOID, browser_hash},
									{TEXTOID, provider},
									as::timestamptz(GetCurrentTimestamp())}) > 0;
}

void put_claimed(FunctionCallInfo fcinfo, const Sealed &secrets)
{
	// The sealed text stands in the place of two columns.
	constexpr int kBefore = 8, kAfter = 3, kColumns = kBefore + 2 + kAfter;
	Datum values[kColumns];
	bool nulls[kColumns] = {};
	for (int i = 0; i < kBefore; i++)
		values[i] = returned(i + 1, &nulls[i]);
	values[kBefore] = text_datum(secrets.verifier);
	values[kBefore + 1] = text_datum(secrets.nonce);
	for (int i = kBefore + 2; i < kColumns; i++)
		values[i] = returned(i, &nulls[i]);
	put(fcinfo, values, nulls);
	for (const Datum secret : {values[kBefore], values[kBefore + 1]})
		common::wipe(DatumGetPointer(secret), VARSIZE(DatumGetPointer(secret)));
}

void claim_attempt(FunctionCallInfo fcinfo)
{
	const OpenedInFlow opened =
		open_in_flow(DatumGetTextPP(returned(9)),
					 {kAttemptPurpose, attempt_name(PG_GETARG_DATUM(0), returned(1))});
	// Its key has left the ring: it is as good as expired.
	if (opened.data == nullptr)
		return;
	if (opened.size == sizeof(Sealed)) {
		Sealed secrets;
		memcpy(&secrets, opened.data, sizeof secrets);
		put_claimed(fcinfo, secrets);
		common::wipe(&secrets, sizeof secrets);
	}
	wipe_opened(opened);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_flow_begin)
{
	PreventCommandIfReadOnly("flow_begin()");
	refuse_null_argument(fcinfo, 0, "ticket_hash");
	refuse_null_argument(fcinfo, 1, "provider_in_path");
	refuse_null_argument(fcinfo, 3, "token_endpoint");
	refuse_null_argument(fcinfo, 4, "client_id");
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	const TimestampTz now = GetCurrentTimestamp();
	purge_links(now, kPurgedByTheWay);
	purge_confirmations(now, kPurgedByTheWay);
	if (take_link(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), now))
		open_attempt(fcinfo, now);
	SPI_finish();
	PG_RETURN_NULL();
}

OAUTH_FUNCTION(oauth_flow_claim)
{
	PreventCommandIfReadOnly("flow_claim()");
	refuse_null_argument(fcinfo, 0, "state_hash");
	refuse_null_argument(fcinfo, 1, "browser_hash");
	refuse_null_argument(fcinfo, 2, "provider_in_path");
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	if (delete_attempt(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)))
		claim_attempt(fcinfo);
	SPI_finish();
	PG_RETURN_NULL();
}
