// The one cache that is registered: a row of cache_registrations, read and
// written below SQL.
#pragma once

#include "invalidation/cache_tables.hpp"
#include "postgres/compat.hpp"

extern "C" {
#include "utils/uuid.h"
}

namespace oauth_tokens
{

// The row as it lies on its page (66_cache.sql); cache_id follows.
struct RegistrationRow {
	pg_uuid_t registration_id;
	TimestampTz server_started;
	TimestampTz registered_at;
	TimestampTz acknowledged_at;
	Oid database;
	Oid token_table;
	std::uint64_t table_version; // CacheTables
};

struct Registration {
	bool valid; // else nothing else is set
	ItemPointerData tid;
	RegistrationRow row;
	text *cache_id;
};

// The registration that the snapshot sees, if it is one of this server's run, this
// database and the present table, whose triggers and columns nobody has changed.
// While there are child tables, its invalidations are written, but nothing may be kept.
Registration find_registration(const CacheTables &tables, Snapshot snapshot);

// The same as of now, whatever the transaction's isolation level.
Registration latest_registration(const CacheTables &tables);

bool is_registration_id(const Registration &registration, const pg_uuid_t &registration_id);

// Says that its invalidations were seen to just now. In its place on the page, so that it
// needs no transaction, waits for nobody and is in nobody's way.
void renew_registration(const CacheTables &tables, const Registration &registration);

// A new one, with a random registration id.
pg_uuid_t add_registration(const CacheTables &tables, text *cache_id);

// Deletes whatever stands there and is seen now.
enum class Wait { no, yes };
void end_registrations(const CacheTables &tables, Wait wait);

} // namespace oauth_tokens
