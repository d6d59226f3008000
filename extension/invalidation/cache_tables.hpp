// The tables that tell caches of changes, and what the trigger must know of
// oauth_tokens. Found once, and again when the catalog has changed.
#pragma once

#include <cstdint>

#include "postgres/compat.hpp"
#include "tokens/identity.hpp"

namespace oauth_tokens
{

inline constexpr const char *kInvalidationsName = "cache_invalidations";
inline constexpr const char *kRegistrationsName = "cache_registrations";

struct CacheTables {
	Oid invalidations;
	Oid registrations;
	Oid tokens;                            // InvalidOid: not migrated
	AttrNumber identity[kIdentityColumns]; // in oauth_tokens; 0 if a column is not as it must be
	// 0 if not every change of oauth_tokens leaves its invalidation. Another number after
	// each change of its triggers and columns, which may have changed tokens without
	// one; the same after VACUUM FULL, and whatever else only moves rows.
	std::uint64_t version;
	// Else tokens are read, or may have been, whose changes leave no invalidations.
	bool rows_are_here;
};

// Mixes a number into a version, which is never 0 then.
std::uint64_t add_to_version(std::uint64_t version, std::uint32_t number);

void cache_tables_init();

const CacheTables &cache_tables();

} // namespace oauth_tokens
