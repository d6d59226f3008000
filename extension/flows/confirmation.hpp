// Grants that wait for oauth_flow_confirm(), sealed, under a one-time code and in
// the row of one identity. Every function here runs within an SPI connection.
#pragma once

#include <cstdint>

#include "common/random_secret.hpp"
#include "postgres/compat.hpp"
#include "tokens/token_store.hpp"

extern "C" {
#include "utils/uuid.h"
}

namespace oauth_tokens
{

// Of tokens, scopes and details together; two tokens of the largest size fit in.
inline constexpr std::size_t kMaxPendingBytes = 1024 * 1024;

// Keeps a grant for `seconds`. `code` is what confirms it.
void keep_confirmation(const Grant &grant, const common::RandomSecret &code, TimestampTz now,
					   int seconds);

// Uses up the code and calls `store` for its grant, which is wiped afterwards and
// lives as long as the call. False, and nothing is used up, if the code is
// unknown, used, expired or of another identity.
using GrantStorer = pg_uuid_t (*)(const TokenTable &table, Grant grant);
bool take_confirmation(const TokenTable &table, const Identity &identity, std::string_view code,
					   GrantStorer store, pg_uuid_t *id);

// As purge_links().
std::uint64_t purge_confirmations(TimestampTz now, int at_most);

} // namespace oauth_tokens
