// How many refreshes of a client may begin now without being asked for: its rate, kept in
// the database so that all sidecars together hold it. Columns credit and credit_at of
// refresh_clients. Within an SPI connection.
#pragma once

#include "refresh/client.hpp"

namespace oauth_tokens
{

struct ClientCredit {
	RefreshClient client;
	bool is_paused;
	float8 credit; // from 1 on, one may begin
	bool is_spent; // some of it
};

// At most as many as a second allows are saved up.
ClientCredit find_credit(const RefreshClient &client, float8 per_second, TimestampTz now);

// Where it was spent. One session at a time.
void save_credit(const ClientCredit &credit, TimestampTz now);

} // namespace oauth_tokens
