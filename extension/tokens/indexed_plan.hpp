// Statements that find their rows by an index, whatever the planner believes. A plan is
// kept for the life of a session. The tables of flows and refreshes are nearly empty when it
// is made, and may hold any number of dead rows until somebody vacuums them. And of two
// indexes that promise one row the planner takes either: the one on workspace and provider
// finds all actors of a workspace.
#pragma once

#include <cstdint>

#include "postgres/compat.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace oauth_tokens
{

void indexed_plan_init();

// As SPI_prepare() and SPI_keepplan(); what is planned holds for all parameters. Null if it
// fails: SPI_result tells why.
SPIPlanPtr prepare_indexed_plan(const char *sql, int arguments, Oid *types);

// As SPI_execute_plan(), of a plan that prepare_indexed_plan() made. When it is planned, the
// tables of tokens and details count as large, and no index on a part of the identity is used. The
// extension's own tables count as large in all statements, also in those of foreign keys.
int execute_indexed_plan(SPIPlanPtr plan, Datum *values, const char *nulls, bool only_read,
						 long at_most);

} // namespace oauth_tokens
