// Privileges on tables that a role with a capability lacks: they go with the table when it is
// dropped and made anew (an Alembic round trip), and the rights on our functions stay.
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
	const char *fix; // a statement without its semicolon
};

// Of all roles, as a list of MissingGrants *. Within an SPI connection.
List *missing_grants();

} // namespace oauth_tokens
