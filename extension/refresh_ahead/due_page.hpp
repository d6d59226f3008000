// Some tokens in the order in which they are due, read by the indexes of
// background_index.hpp. Within an SPI connection.
#pragma once

#include "postgres/compat.hpp"
#include "refresh_ahead/due_rules.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "executor/spi.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

// A place in that order; nothing is due before a place with the id 0, or after one with
// the greatest id, at the same time.
struct DueCursor {
	TimestampTz time;
	pg_uuid_t id;
};
DueCursor before_all_at(TimestampTz time);
DueCursor after_all_at(TimestampTz time);
bool is_before(const DueCursor &one, const DueCursor &other);

// The planner must take the indexes whatever it believes of the tables, on which a scan of
// all rows might seem cheaper, and join row by row. An error undoes it with the transaction.
struct DuePlans {
	int nest_level;
};
DuePlans begin_due_plans();
void end_due_plans(DuePlans plans);

struct DueRow {
	DueToken token;
	Identity identity;
	Datum actor_type; // text
	Datum client_id;  // text, empty: not known
};

struct DuePage {
	DueRow *rows;
	int size;
	SPITupleTable *table; // the rows point into it
};

// At most `limit` rows after the one place and up to the other, with the caller's rights.
DuePage read_due_page(Datum provider, DueBy by, const DueCursor &after, const DueCursor &to,
					  int limit);
void free_due_page(const DuePage &page);

DueCursor place_of(const DueRow &row);

} // namespace oauth_tokens
