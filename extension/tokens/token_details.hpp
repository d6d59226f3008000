// The table oauth_token_details: what a provider says beside the token. Its row
// is valid only while its token_id is the id of the token with its identity.
// Every function here runs within an SPI connection.
#pragma once

#include "postgres/compat.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "utils/jsonb.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

// What joins the details `d` to the token `t`, or the other way round.
inline constexpr const char *kDetailsOfToken =
	" ON d.workspace_id OPERATOR(pg_catalog.=) t.workspace_id"
	" AND d.provider OPERATOR(pg_catalog.=) t.provider"
	" AND d.actor_type OPERATOR(pg_catalog.=) t.actor_type"
	" AND d.actor_id OPERATOR(pg_catalog.=) t.actor_id AND d.token_id OPERATOR(pg_catalog.=) t.id";

// Replaces the details of the token `id`. Keys of the object: account_id,
// account_label, issuer, client_id (strings), extra (object), lifetime and
// refresh_expires_in (seconds; the latter from now).
// Raises 22023 for anything else. The digest is that of the refresh token which
// they tell of; null: of none.
void details_store(const TokenTable &table, const Identity &identity, const pg_uuid_t &id,
				   const Jsonb *details, const bytea *refresh_token_digest);

// Of a token that was refreshed: members that are given replace those of before, a digest
// too, and so does a lifetime in microseconds (negative: none is known). The account
// stays connected since when it was.
void details_refresh(const TokenTable &table, const Identity &identity, const pg_uuid_t &id,
					 const Jsonb *details, const bytea *refresh_token_digest, TimestampTz lifetime);

// Raises what details_store() would.
void check_details(const Jsonb *details);

// Whether an object tells whose grant it is: issuer, which stands there only
// if an ID token was checked, account_id and client_id. Null does not.
// Raises 22023 as details_store() does.
bool names_account(const Jsonb *details);

// The digest of the refresh token that the stored details of the token `id` tell
// of, if they name the same account as `details`, which must name one; else null.
const bytea *details_digest(const TokenTable &table, const Identity &identity, const pg_uuid_t &id,
							const Jsonb *details);

void details_delete(const TokenTable &table, const Identity &identity);

// Whose grant a token is. Any of them may be null: not known.
struct GrantOwner {
	const text *account_id;
	const text *issuer;
	const text *client_id;
};

// Deletes them, too, and returns what they say of the token `id`.
GrantOwner details_take(const TokenTable &table, const Identity &identity, const pg_uuid_t &id);

// Follows the token `id`, which has moved from one identity to another.
void details_move(const TokenTable &table, const Identity &from, const Identity &to,
				  const pg_uuid_t &id);

} // namespace oauth_tokens
