#include "refresh/doubt.hpp"

#include "refresh/rules.hpp"

namespace oauth_tokens
{

namespace
{

// By then a provider has done what it was asked for.
constexpr TimestampTz kDoubt = 120 * USECS_PER_SEC;
// A lease is so much longer than its holder lets the provider take to answer
// (docs/design/refresh.md, "Lease").
constexpr TimestampTz kBesideCall = 30 * USECS_PER_SEC;

} // namespace

Doubt end_of_doubt(TimestampTz since, TimestampTz lease, const LockedToken &token,
				   const RefreshClient &client, TimestampTz now)
{
	using Rotation = RefreshRules::Rotation;
	const RefreshRules rules = refresh_rules(client.provider);
	const TimestampTz call = Max(lease - kBesideCall, 0);
	const Doubt cautious = {Max(since + kDoubt, token.expires ? token.expires_at : 0), 0};
	switch (rules.rotation) {
	case Rotation::none:
	case Rotation::until_used:
		return {since, 0};
	case Rotation::grace:
		return now + call < since + rules.grace ? Doubt{since, since + rules.grace} : cautious;
	case Rotation::learnt:
		return keeps_refresh_tokens(client) ? Doubt{since, 0} : cautious;
	case Rotation::strict:
		break;
	}
	return cautious;
}

} // namespace oauth_tokens
