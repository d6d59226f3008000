// The two triggers on oauth_tokens that record changes for caches: that they are
// there and fire always, also while a replica applies changes.
#pragma once

#include <cstdint>

#include "postgres/compat.hpp"

namespace oauth_tokens
{

// 0 if not every change leaves an invalidation. Else another number after each change of
// a trigger, be it as before or not: while it was otherwise, rows may have changed.
// Needs no lock on the table.
std::uint64_t triggers_version(Oid table);

// Every way in which they differ, as a list of Difference *. `name` is the
// table's qualified and quoted name, for the fixes.
List *trigger_differences(Oid table, const char *name);

// Those of the differences that are a trigger which is not there.
List *missing_triggers(Oid table, const char *name);

// The statements that make both.
char *triggers_create_statement(const char *name);

// So that DROP EXTENSION takes them, and does not stop at them. ALTER TRIGGER … DEPENDS ON
// EXTENSION does the same, and makes readers of the table wait.
void bind_triggers_to_extension(Oid table);

} // namespace oauth_tokens
