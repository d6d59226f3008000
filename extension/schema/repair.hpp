// Repairs how a table that is there differs from what it must be like, so that its readers wait as
// little as can be: first what none waits for, such as an index that is built; then the rest, for
// which the table is locked.
#pragma once

#include "schema/table_definition.hpp"

namespace oauth_tokens
{

// A NOTICE says of each difference: "<doing>, repair <relation> table: <what>".
struct Repair {
	const char *doing;
	const char *relation;
};

// Within an SPI connection and safe settings. No difference needs a person.
void repair_beside_readers(const Repair &repair, const List *differences);
void repair_rest(const Repair &repair, const List *differences);

// Whether there is a rest.
bool has_rest(const List *differences);

// Lock tables until the transaction ends: against writers, and later against readers, too, when it
// is about to end. A lock that waits for a long transaction makes all others wait behind it. So
// these wait only for a moment at a time, until it is there or the caller's lock_timeout is over
// (55P03). If a transaction waits for us, and so will never make room, they raise 40P01 with
// `hint`.
void lock_out_writers(const List *tables, const char *hint);
void lock_out_readers(const List *tables, const char *hint);

// Raises 55006 unless the extension's `relation` is still this one, and still has this name,
// qualified and quoted: by it the table is changed. It may have got another name, as may its
// schema, while we waited for the lock.
void require_name(Oid relid, const char *relation, const char *name);
[[noreturn]] void raise_replaced(const char *relation);

} // namespace oauth_tokens
