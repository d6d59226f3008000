// A grant on its way into the table: encrypted and upserted on its identity in
// one statement, so that two writers never mix an access token with another's
// refresh token.
#pragma once

#include "postgres/compat.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "utils/jsonb.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

struct Grant {
	Identity identity;
	const text *access_token;
	const text *refresh_token; // null: there is none
	const text *scopes;        // the same
	const Jsonb *details;      // the same
	TimestampTz expires_at;
	bool expires;
	bool keep_refresh_token; // the stored ones; only if there are none here
	bool keep_scopes;
};

// The moment that a provider's expires_in means. Raises OT009 if it is
// negative, or past the last timestamp.
TimestampTz expiry_from_now(std::int64_t seconds);

// The table, locked for writing. Raises OT005 if nothing keeps an identity
// unique, and what lock_token_table() does.
const TokenTable &lock_table_to_store();

// Stores it, and its details if there are any, within an SPI connection; the
// row's id. Details that it has not stay as they are, tied to the refresh token
// that they came with. Raises what oauth_store() documents.
pg_uuid_t store_grant(const TokenTable &table, Grant grant);

// The same for a whole grant ("One grant, whole"), which replaces all of the
// stored one. A missing refresh token is taken from that only if both are
// the same account's, by issuer, account_id and client_id, and it is the very one
// that came with the details which say so.
pg_uuid_t replace_grant(const TokenTable &table, Grant grant);

} // namespace oauth_tokens
