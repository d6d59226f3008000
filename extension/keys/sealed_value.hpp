// What a flow must read again, sealed: Fernet under a key that HKDF-SHA256
// derives from the ring's key and from
//
//   info = purpose | 0x00 | SHA-256 of what names the row
//
// so that a value opens for its purpose and in its row only. Every key of the
// ring opens it. What is kept in a table is in the list of keys/sealed_columns.hpp,
// or a rotation forgets it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "common/fernet.hpp"
#include "keys/key_ring.hpp"
#include "postgres/compat.hpp"

namespace oauth_tokens
{

inline constexpr std::string_view kAttemptPurpose = "oauth_tokens flow attempt";
inline constexpr std::string_view kGrantPurpose = "oauth_tokens flow grant";
inline constexpr std::string_view kSpoolPurpose = "oauth_tokens refresh key";

struct SealedSlot {
	std::string_view purpose;
	std::string_view row; // what names it
};

// `timestamp`: the Fernet one, in seconds since 1970 UTC.
text *seal_in_flow(std::string_view plaintext, const SealedSlot &place, std::uint64_t timestamp);

// The plaintext, in memory that the caller wipes by wipe_opened(); `data` is
// null if no key opens it.
struct OpenedInFlow {
	const char *data;
	std::size_t size;
	std::size_t capacity;
	int position; // of the key in the ring, from 1
	std::uint64_t timestamp;
	bool is_shared; // it opens in every row
	Finding finding;

	std::string_view view() const { return {data, size}; }
};

OpenedInFlow open_in_flow(const text *sealed, const SealedSlot &place);

void wipe_opened(const OpenedInFlow &opened);

} // namespace oauth_tokens
