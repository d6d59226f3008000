#include "revocation/revocation_queue.hpp"

#include "postgres/owner_query.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/table_query.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

bool is_known(const GrantOwner &owner)
{
	return owner.account_id != nullptr && owner.client_id != nullptr;
}

std::string_view base_name(const Identity &identity)
{
	const std::string_view provider = view_of(DatumGetTextPP(identity.provider()));
	return provider.substr(0, provider.find('.'));
}

Datum text_of(std::string_view value)
{
	return PointerGetDatum(cstring_to_text_with_len(value.data(), value.size()));
}

// By a snapshot of now, in every isolation level: who was locked out has committed.
template <typename BuildSql>
bool finds(PlanCache &kept, const TokenTable &table, BuildSql build_sql,
		   const SpiParameters &parameters)
{
	use_tables(Use::read);
	PushActiveSnapshot(GetLatestSnapshot());
	const bool found = run_on_tables(kept, table, build_sql, parameters, SPI_OK_SELECT) > 0;
	PopActiveSnapshot();
	return found;
}

char *joined_details(const TokenTable &table, const char *join)
{
	return psprintf("SELECT 1 FROM %s t %s %s d %s", table.name, join, table.details_name,
					kDetailsOfToken);
}

} // namespace

void queue_revocation(const Identity &identity, const SealedTokens &tokens, const GrantOwner &owner,
					  bool unless_shared)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.oauth_revocations (id, workspace_id, provider,"
		" actor_type, actor_id, encrypted_access_token, encrypted_refresh_token, account_id,"
		" issuer, client_id, unless_shared, created_at, next_attempt_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)"};
	if (tokens.access_token == nullptr && tokens.refresh_token == nullptr)
		return;
	run_as_owner(statement, {{UUIDOID, DirectFunctionCall1(gen_random_uuid, (Datum)0)},
							 {UUIDOID, identity.workspace_id()},
							 {TEXTOID, identity.provider()},
							 {TEXTOID, actor_type_text(identity)},
							 {TEXTOID, identity.actor_id()},
							 as::text(tokens.access_token),
							 as::text(tokens.refresh_token),
							 as::text(owner.account_id),
							 as::text(owner.issuer),
							 as::text(owner.client_id),
							 as::boolean(unless_shared),
							 as::timestamptz(GetCurrentTimestamp())});
}

void queue_refresh_token(const Identity &identity, const text *refresh_token,
						 const GrantOwner &owner)
{
	const text *sealed = seal_token(refresh_token, {&identity, Column::refresh_token});
	queue_revocation(identity, {nullptr, sealed}, owner, true);
}

bool is_account_shared(const TokenTable &table, const Identity &identity, const GrantOwner &owner)
{
	static PlanCache kept;
	if (!is_known(owner))
		return false;
	return finds(
		kept, table,
		[&] {
			return psprintf("%s WHERE d.account_id OPERATOR(pg_catalog.=) $1"
							" AND d.client_id OPERATOR(pg_catalog.=) $2"
							" AND pg_catalog.split_part(d.provider, '.', 1)"
							" OPERATOR(pg_catalog.=) $3",
							joined_details(table, "JOIN"));
		},
		SpiParameters({as::text(owner.account_id),
					   as::text(owner.client_id),
					   {TEXTOID, text_of(base_name(identity))}}));
}

bool is_connected_again(const TokenTable &table, const Identity &identity, const GrantOwner &owner)
{
	static PlanCache kept;
	return finds(
		kept, table,
		[&] {
			return psprintf("%s WHERE t.workspace_id OPERATOR(pg_catalog.=) $1"
							" AND t.provider OPERATOR(pg_catalog.=) $2"
							" AND t.actor_type OPERATOR(pg_catalog.=) $3"
							" AND t.actor_id OPERATOR(pg_catalog.=) $4"
							" AND (d.account_id IS NULL OR $5 IS NULL"
							" OR d.account_id OPERATOR(pg_catalog.=) $5)",
							joined_details(table, "LEFT JOIN"));
		},
		identity_parameters(table, identity, {as::text(owner.account_id)}));
}

void lock_account(const Identity &identity, const GrantOwner &owner)
{
	if (!is_known(owner))
		return;
	std::uint64_t hash = 0;
	for (const std::string_view part :
		 {base_name(identity), view_of(owner.client_id), view_of(owner.account_id)})
		hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(part.data()),
								   static_cast<int>(part.size()), hash);
	// A number in the name of our own table meets nobody else's locks.
	const Oid table =
		get_relname_relid("oauth_revocations", get_namespace_oid("oauth_tokens_internal", false));
	LockDatabaseObject(table, static_cast<Oid>(hash), 0, ExclusiveLock);
}

} // namespace oauth_tokens
