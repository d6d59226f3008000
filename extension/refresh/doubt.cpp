#include "refresh/doubt.hpp"

#include "refresh/rules.hpp"

namespace oauth_tokens
{

// By then a provider has done what it was asked for.
constexpr TimestampTz kDoubt = 120 * USECS_PER_SEC;

TimestampTz end_of_doubt(TimestampTz since, const LockedToken &token, const RefreshClient &client,
						 TimestampTz now)
{
	using Rotation = RefreshRules::Rotation;
	const RefreshRules rules = refresh_rules(client.provider);
	const TimestampTz cautious = Max(since + kDoubt, token.expires ? token.expires_at : 0);
	switch (rules.rotation) {
	case Rotation::none:
	case Rotation::until_used:
		return since;
	case Rotation::grace:
		return now < since + rules.grace ? since : cautious;
	case Rotation::learnt:
		return keeps_refresh_tokens(client) ? since : cautious;
	case Rotation::strict:
		break;
	}
	return cautious;
}

} // namespace oauth_tokens
