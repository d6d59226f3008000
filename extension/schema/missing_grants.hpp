// What a role with a capability lacks of it: privileges on a table go when it is dropped and made
// anew (an Alembic round trip), and new functions come with an update of the extension.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace oauth_tokens
{

struct MissingGrants {
	const char
		*what;       // for a person: "role app has capability reader but no SELECT on oauth_tokens"
	const char *fix; // a statement, with a comment if it is not sure
};

// Of all roles, as a list of MissingGrants *. Within an SPI connection.
List *missing_grants();

} // namespace oauth_tokens
