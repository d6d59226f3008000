// A look for one row of a table of refreshes by the first column of its primary key, below
// SQL: if there mostly is none, a statement would cost more than all the rest. It asks for
// no rights: see owner_query.hpp.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "executor/tuptable.h"
}

namespace oauth_tokens
{

struct MemberKey {
	const char *table; // in oauth_tokens_internal
	RegProcedure equal;
	Datum value;
};

using MemberVisitor = void (*)(Oid table, TupleTableSlot *row, void *state);

// Calls `visit`, which may be null, with the row. False if there is none.
bool find_member_row(const MemberKey &key, Snapshot snapshot, MemberVisitor visit = nullptr,
					 void *state = nullptr);

} // namespace oauth_tokens
