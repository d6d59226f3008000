// Statements on the tables that are members of the extension: their names and types are
// fixed, so a plan is prepared once a backend. Within an SPI connection.
#pragma once

#include <cstdint>

#include "common/random_secret.hpp"
#include "postgres/compat.hpp"
#include "postgres/parameters.hpp"

extern "C" {
#include "executor/spi.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

// A caller that sets row_security = off wants an error if rows are hidden. But the policies of
// oauth_token_details, which apply to all, ask those of oauth_tokens, and there the setting
// counts as the caller set it.
// Takes what begin_row_security() returned; an error undoes it, too.
int begin_row_security();
void end_row_security(int nest_level);

struct MemberQuery {
	const char *sql;
	SPIPlanPtr plan = nullptr;
};

// With the caller's rights. Rows that were returned or written; the former stand in
// SPI_tuptable. `only_read`: it writes nothing, and sees what the active snapshot does.
std::uint64_t run(MemberQuery &statement, Parameters parameters, bool only_read = false);

// A column (from 1) of the first row that a statement returned.
Datum returned(int column, bool *is_null);
Datum returned(int column);
// Copies, and null for a null.
const text *returned_text(int column);
// 0 for a null.
TimestampTz returned_time(int column);

Datum bytea_datum(const common::Hash &hash);
Datum text_datum(const common::RandomSecret &secret);

// The hash of text that a caller brought, or a fresh secret and its hash. Raise
// XX000 if OpenSSL fails.
common::Hash flow_hash_of(std::string_view text);
void new_flow_secret(common::RandomSecret &secret);

} // namespace oauth_tokens
