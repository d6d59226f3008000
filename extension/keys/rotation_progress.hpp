// What a rotation has done so far: for its own decisions, for the row in key_rotations, and for
// who called it.
#pragma once

#include <array>

#include "keys/key_ring.hpp"
#include "keys/sealed_columns.hpp"

namespace oauth_tokens
{

using Fingerprint = std::array<char, common::fernet::kFingerprintChars>;

// A reload may change it while rotation runs.
Fingerprint first_key();

struct RotationProgress {
	int64 id;      // of the row in key_rotations
	int64 rotated; // values
	// In this pass:
	int64 damaged;
	int64 refused;
	int64 unbindable;
	int64 left;           // values in rows that others held or changed
	MemoryContext memory; // of the call
	char *unbindable_row; // the first of them, in this memory
	Resealed flows;       // the last pass over what is not in the table
};

// Within an SPI connection, with a snapshot.
void begin_progress(RotationProgress &progress);
void record_progress(const RotationProgress &progress, bool finished);

void tell_of_progress(const RotationProgress &progress);
void warn_of_what_stays(const RotationProgress &progress);

} // namespace oauth_tokens
