// All that the ring's keys seal outside the table of tokens, as one list: what a
// rotation must re-seal, and oauth_key_usage must count, before a key may go
// (docs/design/threats.md, E23). In the table of tokens it is the two ciphertext columns, which
// both go through by themselves. What is sealed anywhere else belongs in here: what
// flows keep, the keys of spool files, and tokens that were deleted and are to be revoked.
//
// Every function here but the names runs within an SPI connection, on the tables as the
// extension's owner. A transaction that seals for these rows has first locked flow_links or the
// table of tokens for writing, and rotation waits for that lock.
#pragma once

#include <cstdint>
#include <string_view>

#include "postgres/compat.hpp"

namespace oauth_tokens
{

// What names a row, for the key under which its value is sealed. Texts are in the
// database's encoding.
std::string_view attempt_name(Datum state_hash, Datum ticket_hash);
std::string_view confirmation_name(Datum flow_hash, Datum workspace_id, Datum provider,
								   Datum actor_type, Datum actor_id);
std::string_view spool_key_name(Datum fence, Datum token_id);

// Goes through the rows that have not expired, of one column after the other.
struct SealedPosition {
	std::size_t column;
	unsigned char after[32]; // the primary key of the row before
	std::size_t after_size;  // 0 at the column's beginning
	bool at_end;
};

struct Resealed {
	int64 done;
	int64 left; // others hold these rows
	// These stay as they are; a flow that no key opens is as good as expired, and is not counted.
	int64 damaged;
	int64 refused;
	int64 unbindable;
};

// Re-seals under the first key what another key opens, or what is not sealed as
// oauth_tokens.key_binding says, in some rows from `position` on. Waits for nobody.
Resealed reseal_rows(SealedPosition &position);

// By the position of a key in the ring, from 1: how many of these values it
// opens, the smallest timestamp of them, and how many of them are tokens that
// oauth_tokens.key_binding = bound refuses; and after the last key, how many no key
// opens. Of a flow that is as good as expired, and is not counted.
struct SealedUse {
	int64 values;
	std::uint64_t oldest;
	int64 shared;
};
void count_sealed_rows(SealedUse *uses, int keys);

} // namespace oauth_tokens
