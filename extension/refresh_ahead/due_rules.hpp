// When the tokens of a provider are due to be refreshed though nobody asks, by the rules
// that its sidecar published.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "utils/uuid.h"
}

namespace oauth_tokens
{

struct DueRules {
	Datum provider;
	bool kills_access;
	bool is_lost_harmless; // a refresh whose answer never came
	TimestampTz ahead;     // microseconds, as the next; 0: never
	TimestampTz keep_alive;
	float8 per_second; // of each client
};

// Of these providers, an array of text, or of all, in any order: the rules of those whose
// tokens are refreshed ahead of time. Within an SPI connection.
struct DueRuleList {
	DueRules *rules;
	int size;
};
DueRuleList read_due_rules(Datum providers, bool all);

// By which of its times a token is due: the expiry of its access token, or the end of its
// grant.
enum class DueBy { access_expiry, grant_end };

// The times that a search covers. Older tokens have waited for a month, or for longer than their
// provider keeps them: they are refreshed only on a read. Up to `recent` are those that are
// certainly due: if they are many, they wait for something. After it are those that become
// due.
struct DueTimes {
	TimestampTz after;
	TimestampTz recent;
	TimestampTz to;
};
DueTimes due_times(const DueRules &rules, DueBy by, TimestampTz now);

struct DueToken {
	pg_uuid_t id;
	TimestampTz at; // the time by which it is due
	bool is_there;  // of grant_end: details may be of a token that is gone
	bool expires;
	TimestampTz expires_at;
	TimestampTz updated_at;
	TimestampTz lifetime;     // microseconds; 0: not known
	TimestampTz lease_until;  // of the attempt that is under way or in doubt; 0: none is
	TimestampTz next_attempt; // 0: at any time
};

bool is_due(const DueToken &token, const DueRules &rules, DueBy by, TimestampTz now);

} // namespace oauth_tokens
