// Statements on the tables of flows, which are members of the extension: their
// names and types are fixed, so a plan is prepared once a backend. All run with
// the caller's rights, within an SPI connection.
#pragma once

#include <cstdint>

#include "common/random_secret.hpp"
#include "postgres/compat.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace oauth_tokens
{

// Whoever sets row_security = off wants an error where rows are hidden; but the
// policies of these tables, which apply to all, ask those of oauth_tokens, where
// the setting counts as it did.
// Takes what begin_row_security() returned; an error undoes it, too.
int begin_row_security();
void end_row_security(int nest_level);

template <int parameters>
struct MemberQuery {
	const char *sql;
	Oid types[parameters];
	SPIPlanPtr plan = nullptr;
};

// Rows that were returned or written; the former stand in SPI_tuptable. `only_read`: it
// writes nothing, and sees what the active snapshot does.
std::uint64_t run_member_query(const char *sql, int parameters, Oid *types, SPIPlanPtr &plan,
							   Datum *values, const char *nulls, bool only_read = false);

template <int parameters>
std::uint64_t run(MemberQuery<parameters> &statement, Datum (&values)[parameters],
				  const char *nulls = nullptr)
{
	return run_member_query(statement.sql, parameters, statement.types, statement.plan, values,
							nulls);
}

// A column (from 1) of the first row that a statement returned.
Datum returned(int column, bool *is_null);
Datum returned(int column);

Datum bytea_datum(const flow::Hash &hash);
Datum text_datum(const flow::Secret &secret);

// The hash of text that a caller brought, or a fresh secret and its hash. Raise
// XX000 where OpenSSL fails.
flow::Hash flow_hash_of(std::string_view text);
void new_flow_secret(flow::Secret &secret);

} // namespace oauth_tokens
