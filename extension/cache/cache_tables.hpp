// The tables that tell caches of changes, and what the trigger must know of
// oauth_tokens. Found once, and again when the catalog has changed.
#pragma once

#include "identity.hpp"
#include "postgres.hpp"

namespace oauth_tokens
{

inline constexpr const char *kMarksName = "cache_marks";
inline constexpr const char *kRegistrationsName = "cache_registrations";

struct CacheTables {
	Oid marks;
	Oid registrations;
	Oid tokens;                            // InvalidOid: not migrated
	AttrNumber identity[kIdentityColumns]; // in oauth_tokens; 0 where a column is not as it must be
	bool triggers_whole;                   // every change of oauth_tokens leaves its mark
};

void cache_tables_init();

const CacheTables &cache_tables();

} // namespace oauth_tokens
