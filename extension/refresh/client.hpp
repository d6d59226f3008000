// A client (an application's registration at a provider) whose refreshes fail one after
// the other is paused for a while: its secret may be wrong, or the provider down, and
// neither says anything of one token. Table refresh_clients. Within an SPI connection.
//
// A client is many tenants', and a tenant writes in the details which client its token is of.
// So all obey a pause, but what a caller says of a client counts only if row security does
// not restrict it to tokens of its own, or if it has the capability sidecar.
#pragma once

#include <string_view>

#include "postgres/compat.hpp"

namespace oauth_tokens
{

struct RefreshClient {
	Datum provider;  // with its label or without
	Datum client_id; // client_name(), empty: the details name none
};

// What table refresh_clients calls it: an index takes no text of any length, so the end of
// a long one is its hash.
Datum client_name(std::string_view client_id);

// When the client's pause ends; 0: it has none, or this caller shall try whether it is
// over, and nobody else within the lease.
TimestampTz client_pause(const RefreshClient &client, TimestampTz now, TimestampTz lease_until,
						 const text **reason);

// A token was refreshed, which ends a pause. `rotated`: the answer had a new refresh token.
void client_succeeded(const RefreshClient &client, bool rotated, TimestampTz now);

enum class ClientFailure { transient, dead_grant, configuration };

// A token was not. Whether the failure is the client's, and says nothing of this token;
// what does not count is always the token's.
bool client_failed(const RefreshClient &client, ClientFailure failure, const text *reason,
				   TimestampTz now);

// Whether the client's refresh tokens are known to stay.
bool keeps_refresh_tokens(const RefreshClient &client);

} // namespace oauth_tokens
