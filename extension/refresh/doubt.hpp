// How long to wait after an attempt without an answer: the provider may have rotated the
// refresh token, and then a strict one ends the whole grant if the old one comes again.
#pragma once

#include "refresh/client.hpp"
#include "refresh/locked_token.hpp"

namespace oauth_tokens
{

struct Doubt {
	TimestampTz until;       // when the provider may be asked again
	TimestampTz grace_until; // and by when it must have been; 0: at any time after
};

// For an attempt that began at `since`. The access token is used up first, and two
// minutes go by, unless the old refresh token is known to be good for another use. In
// the grace that a provider gives, another attempt, with a lease of this length, must be
// over before it ends.
Doubt end_of_doubt(TimestampTz since, TimestampTz lease, const LockedToken &token,
				   const RefreshClient &client, TimestampTz now);

} // namespace oauth_tokens
