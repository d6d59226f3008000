// Statements on the tables of tokens and details, with the caller's rights. Each is prepared
// once a backend, and again when the tables have changed. Within an SPI connection, and after
// use_tables().
#pragma once

#include "postgres/parameters.hpp"
#include "tokens/token_table.hpp"

namespace oauth_tokens
{

// The identity of a token, as a statement's first parameters, and others after them.
SpiParameters identity_parameters(const TokenTable &table, const Identity &identity,
								  Parameters others = {});

// What a statement returned in the first four columns of its first row, copied.
Identity returned_identity();

// As SPI_execute_plan(), of a plan of cached_plan(). Raises unless the result is the expected
// one: SPI_OK_SELECT reads one row, by the active snapshot. Returns the rows that were returned
// or written.
std::uint64_t execute_on_tables(SPIPlanPtr plan, SpiParameters &parameters, int expected);

template <typename BuildSql>
std::uint64_t run_on_tables(PlanCache &kept, const TokenTable &table, BuildSql build_sql,
							SpiParameters parameters, int expected)
{
	SPIPlanPtr plan = cached_plan(kept, table, build_sql, parameters.count, parameters.types);
	return execute_on_tables(plan, parameters, expected);
}

} // namespace oauth_tokens
