// What a flow must read again, sealed: Fernet under a key that HKDF-SHA256
// derives from the ring's key and from
//
//   info = purpose | 0x00 | SHA-256 of what names the row
//
// so that a value opens for its purpose and in its row only. Every key of the
// ring opens it. oauth_rotate_keys() leaves these alone, for they live for
// minutes: to take a key away sooner ends the flows that are under way.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "fernet/fernet.hpp"
#include "postgres.hpp"

namespace oauth_tokens
{

inline constexpr std::string_view kAttemptPurpose = "oauth_tokens flow attempt";
inline constexpr std::string_view kGrantPurpose = "oauth_tokens flow grant";

struct SealedPlace {
	std::string_view purpose;
	std::string_view row; // what names it
};

text *seal_in_flow(std::string_view plaintext, const SealedPlace &place);

// The plaintext, in memory that the caller wipes by wipe_opened(); `data` is
// null where no key opens it.
struct OpenedInFlow {
	const char *data;
	std::size_t size;
	std::size_t capacity;

	std::string_view view() const { return {data, size}; }
};

OpenedInFlow open_in_flow(const text *sealed, const SealedPlace &place);

void wipe_opened(const OpenedInFlow &opened);

} // namespace oauth_tokens
