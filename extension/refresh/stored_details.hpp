// What oauth_connections shows as the details of a token that the caller has locked. Within
// an SPI connection.
#pragma once

#include "postgres/compat.hpp"
#include "refresh/locked_token.hpp"
#include "tokens/token_details.hpp"

extern "C" {
#include "utils/jsonb.h"
}

namespace oauth_tokens
{

struct StoredDetails {
	const Jsonb *json;    // null: there are none
	Datum client_id;      // text, a long one shortened; empty: none is named
	GrantOwner owner;     // the same as it is
	TimestampTz lifetime; // of an access token, in microseconds; 0: unknown
};

StoredDetails stored_details(const TokenTable &table, const LockedToken &token);

} // namespace oauth_tokens
