// Links: what oauth_authorize_url() makes, what an attempt is opened at, and what
// the transaction that stores the tokens ends. Every function here runs within an
// SPI connection.
#pragma once

#include <cstdint>

#include "common/random_secret.hpp"
#include "postgres/compat.hpp"
#include "tokens/token_table.hpp"

namespace oauth_tokens
{

inline constexpr int kMaxOpenLinks = 20; // an identity
inline constexpr int kMaxAttemptSeconds = 600;
// A claimed attempt has no row any more, and its code is at the provider's token
// endpoint: that long, the link outlives the last attempt.
inline constexpr int kExchangeSeconds = 120;
// Expired rows that a call clears away for others; more would be felt.
inline constexpr int kPurgedByTheWay = 10;

struct LinkRequest {
	Identity identity;
	Datum actor_type;   // as text
	const text *scopes; // null: the configured ones
	const text *return_to;
	bool confirm;
	int seconds;
};

void insert_link(const LinkRequest &request, const common::Hash &ticket_hash, TimestampTz now);

// Deletes the oldest links of the identity beyond kMaxOpenLinks.
void trim_links(const LinkRequest &request, TimestampTz now);

// Deletes links, with their attempts, that have vanished by `now`: at most so many,
// the longest gone first. Waits for nobody. How many.
std::uint64_t purge_links(TimestampTz now, int at_most);

} // namespace oauth_tokens
