#include "flows/confirmation.hpp"

#include "errors.hpp"
#include "keys/sealed_columns.hpp"
#include "keys/sealed_value.hpp"
#include "postgres/owner_query.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// What is sealed: this, and then the fields of these sizes.
enum Field { kAccessToken, kRefreshToken, kScopesField, kDetailsField, kFields };

struct Header {
	TimestampTz expires_at;
	std::int32_t expires;
	std::int32_t size[kFields]; // -1 if there is none
};

const void *data_of(const void *value)
{
	return VARDATA_ANY(value);
}

std::int32_t size_of(const void *value)
{
	return value == nullptr ? -1 : static_cast<std::int32_t>(VARSIZE_ANY_EXHDR(value));
}

struct Packed {
	char *data;
	std::size_t size;

	std::string_view view() const { return {data, size}; }
};

Packed pack(const Grant &grant)
{
	const void *fields[kFields] = {grant.access_token, grant.refresh_token, grant.scopes,
								   grant.details};
	Header header = {grant.expires_at, grant.expires, {}};
	std::size_t size = sizeof header;
	for (int i = 0; i < kFields; i++) {
		header.size[i] = size_of(fields[i]);
		size += Max(header.size[i], 0);
	}
	if (size > kMaxPendingBytes)
		ereport(ERROR,
				(errcode(ERRCODE_TOKEN_TOO_LARGE), errmsg("the grant is too large"),
				 errdetail("It has %zu bytes; at most %zu are allowed.", size, kMaxPendingBytes)));
	const Packed packed = {static_cast<char *>(palloc(size)), size};
	memcpy(packed.data, &header, sizeof header);
	char *at = packed.data + sizeof header;
	for (int i = 0; i < kFields; i++) {
		if (header.size[i] <= 0)
			continue;
		memcpy(at, data_of(fields[i]), header.size[i]);
		at += header.size[i];
	}
	return packed;
}

// A value of its own, aligned, in memory that wipe_grant() wipes.
void *take_field(const char *&at, std::int32_t size)
{
	if (size < 0)
		return nullptr;
	void *value = palloc(VARHDRSZ + size);
	SET_VARSIZE(value, VARHDRSZ + size);
	memcpy(VARDATA(value), at, size);
	at += size;
	return value;
}

// What opened is what we sealed, so its sizes are right.
Grant unpack(std::string_view packed, const Identity &identity)
{
	Header header;
	memcpy(&header, packed.data(), sizeof header);
	const char *at = packed.data() + sizeof header;
	Grant grant = {};
	grant.identity = identity;
	grant.expires_at = header.expires_at;
	grant.expires = header.expires != 0;
	grant.access_token = static_cast<text *>(take_field(at, header.size[kAccessToken]));
	grant.refresh_token = static_cast<text *>(take_field(at, header.size[kRefreshToken]));
	grant.scopes = static_cast<text *>(take_field(at, header.size[kScopesField]));
	grant.details = static_cast<Jsonb *>(take_field(at, header.size[kDetailsField]));
	return grant;
}

void wipe_text(const text *value)
{
	if (value != nullptr)
		common::wipe(const_cast<text *>(value), VARSIZE(value));
}

std::string_view name_of(Datum flow_hash, const Identity &identity)
{
	return confirmation_name(flow_hash, identity.workspace_id(), identity.provider(),
							 actor_type_text(identity), identity.actor_id());
}

// The sealed grant, or null if the code does not fit. The row's lock keeps a
// second call waiting, which then finds nothing.
const text *delete_confirmation(Datum flow_hash, const Identity &identity)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.flow_confirmations"
		" WHERE flow_hash OPERATOR(pg_catalog.=) $1 AND workspace_id OPERATOR(pg_catalog.=) $2"
		" AND provider OPERATOR(pg_catalog.=) $3 AND actor_type OPERATOR(pg_catalog.=) $4"
		" AND actor_id OPERATOR(pg_catalog.=) $5 AND expires_at OPERATOR(pg_catalog.>) $6"
		" RETURNING sealed"};
	return run_as_owner(statement, {{BYTEAOID, flow_hash},
									{UUIDOID, identity.workspace_id()},
									{TEXTOID, identity.provider()},
									{TEXTOID, actor_type_text(identity)},
									{TEXTOID, identity.actor_id()},
									as::timestamptz(GetCurrentTimestamp())}) == 0
			   ? nullptr
			   : DatumGetTextPP(returned(1));
}

} // namespace

void keep_confirmation(const Grant &grant, const common::RandomSecret &code, TimestampTz now,
					   int seconds)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.flow_confirmations (flow_hash, workspace_id, provider,"
		" actor_type, actor_id, sealed, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"};
	const Datum flow_hash = bytea_datum(flow_hash_of({code.data(), code.size()}));
	const Packed packed = pack(grant);
	const text *sealed = seal_in_flow(
		packed.view(), {kGrantPurpose, name_of(flow_hash, grant.identity)}, unix_now());
	common::wipe(packed.data, packed.size);
	run_as_owner(statement, {{BYTEAOID, flow_hash},
							 {UUIDOID, grant.identity.workspace_id()},
							 {TEXTOID, grant.identity.provider()},
							 {TEXTOID, actor_type_text(grant.identity)},
							 {TEXTOID, grant.identity.actor_id()},
							 as::text(sealed),
							 as::timestamptz(now + static_cast<int64>(seconds) * USECS_PER_SEC)});
}

bool take_confirmation(const TokenTable &table, const Identity &identity, std::string_view code,
					   GrantStorer store, pg_uuid_t *id)
{
	const Datum flow_hash = bytea_datum(flow_hash_of(code));
	const text *sealed = delete_confirmation(flow_hash, identity);
	if (sealed == nullptr)
		return false;
	const OpenedInFlow opened = open_in_flow(sealed, {kGrantPurpose, name_of(flow_hash, identity)});
	// Its key has left the ring: it is as good as expired.
	if (opened.data == nullptr)
		return false;
	const Grant grant = unpack(opened.view(), identity);
	wipe_opened(opened);
	*id = store(table, grant);
	wipe_text(grant.access_token);
	wipe_text(grant.refresh_token);
	return true;
}

std::uint64_t purge_confirmations(TimestampTz now, int at_most)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.flow_confirmations WHERE flow_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT flow_hash"
		" FROM oauth_tokens_internal.flow_confirmations"
		" WHERE expires_at OPERATOR(pg_catalog.<=) $1"
		" ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))"};
	return run_as_owner(statement, {as::timestamptz(now), as::int8(at_most)});
}

} // namespace oauth_tokens
