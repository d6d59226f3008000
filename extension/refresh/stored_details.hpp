// What oauth_connections shows beside a token, as the caller sees it. Within an SPI
// connection.
#pragma once

#include "postgres/compat.hpp"
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

StoredDetails stored_details(const Identity &identity);

} // namespace oauth_tokens
