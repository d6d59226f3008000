// What a user's triggers make of a row that a statement of ours writes. They can leave the row out,
// change what is written, or write the row again afterwards. Without such triggers nothing is
// looked at. Within an SPI connection, right after the statement.
#pragma once

#include "tokens/token_row.hpp"

extern "C" {
#include "utils/uuid.h"
}

namespace oauth_tokens
{

// The ciphertexts that a statement set; what it did not set may be any.
struct WrittenTokens {
	const text *access_token;
	const text *refresh_token; // null: none
	bool sets_access_token = true;
	bool sets_refresh_token = true;
};

// The identity that the row `id` has now. A trigger may give it another one, unless tokens are
// sealed for theirs; its details then follow it. Raises 27000 for that, and if the row has other
// tokens than were written. `done`: what the token was not, "stored".
Identity check_written_row(const TokenTable &table, const Identity &identity, const pg_uuid_t &id,
						   const WrittenTokens &written, const char *done);

// Raises 27000 if the row of a statement that deleted none is there.
void check_deleted_row(const TokenTable &table, const Identity &identity);

[[noreturn]] void raise_left_out(const char *done);

} // namespace oauth_tokens
