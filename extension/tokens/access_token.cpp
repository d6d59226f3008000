#include "tokens/access_token.hpp"

#include <algorithm>

#include "tokens/token_codec.hpp"
#include "tokens/token_row.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

struct Access {
	const Identity &identity;
	TimestampTz alive_at;
	AccessToken found;
};

void take_access_token(const TokenRow &row, void *state)
{
	Access &access = *static_cast<Access *>(state);
	access.found = {true, row.has_expires_at, row.expires_at, nullptr};
	if (row.has_expires_at && row.expires_at < access.alive_at)
		return;
	access.found.token = open_token(DatumGetTextPP(row.encrypted_access_token),
									{&access.identity, Column::access_token});
}

} // namespace

TimestampTz expiry_after(std::uint64_t microseconds)
{
	const std::uint64_t least = std::max<std::uint64_t>(microseconds, 1);
	const TimestampTz now = GetCurrentTimestamp();
	if (least > static_cast<std::uint64_t>(END_TIMESTAMP - now))
		return DT_NOEND; // only a token that never expires lives that long
	return now + static_cast<TimestampTz>(least);
}

AccessToken look_up_access_token(const Identity &identity, TimestampTz alive_at)
{
	Access access = {identity, alive_at, {}};
	visit_token_row(identity, Reads::access_token, take_access_token, &access);
	return access.found;
}

} // namespace oauth_tokens
