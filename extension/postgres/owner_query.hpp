// Statements on the extension's tables on which no role has rights: those of flows, refreshes
// and revocations. What the caller may do was asked by the calling function first, or is asked
// when it stores. So they run as the extension's owner, as work below SQL would. Only catalog
// operators and functions stand in them, and on the tables is nobody else's code. Within an
// SPI connection.
#pragma once

#include "postgres/compat.hpp"
#include "postgres/member_query.hpp"

extern "C" {
#include "utils/snapmgr.h"
}

namespace oauth_tokens
{

// As run().
std::uint64_t run_as_owner(MemberQuery &statement, Parameters parameters, bool only_read = false);

// A SELECT by a snapshot of now, also in a transaction that keeps an older one.
std::uint64_t look_as_owner(MemberQuery &statement, Parameters parameters);

// The owner of the table of tokens may dump its own database: it gets SELECT on the
// extension's tables whose contents pg_dump takes along. Within an SPI connection.
void let_dump(Oid role);

} // namespace oauth_tokens
