// What the sidecar published of a provider: table refresh_rules.
#pragma once

#include <cstdint>

#include "postgres/compat.hpp"

namespace oauth_tokens
{

struct RefreshRules {
	// none: a refresh token stays; strict: the old one ends with the answer; grace: some
	// time later; until_used: when the new one is first used; learnt: strict until
	// refreshes of the client have shown that it stays.
	enum class Rotation { none, strict, grace, until_used, learnt } rotation;
	TimestampTz grace; // microseconds
};

// How long before its expiry a token of this provider (with or without label) is refreshed;
// null if it has no rule. Needs no SPI connection.
const Interval *refresh_ahead(Datum provider);

// Of a provider's name, with its label or without. Strict if nothing was published.
// Within an SPI connection.
RefreshRules refresh_rules(Datum provider);

} // namespace oauth_tokens
