// The clients of a provider whose tokens a look meets: how many each may have now, and where
// the tokens begin that it could not have yet. So none waits for another's. Within an SPI
// connection.
#pragma once

#include "postgres/compat.hpp"
#include "refresh/client.hpp"
#include "refresh_ahead/due_page.hpp"

namespace oauth_tokens
{

// How many refreshes of a client may begin now without being asked for: its rate, kept in
// the database so that all sidecars together hold it. Columns credit and credit_at of
// refresh_clients.
struct ClientCredit {
	RefreshClient client;
	bool is_paused;
	float8 credit; // from 1 on, one may begin
	bool is_spent; // some of it
};

struct DueClient {
	ClientCredit credit;
	bool has_backlog;
	DueCursor from;   // behind it stands the first of the backlog
	DueCursor resume; // where the rest stands, if that is far behind; 0 of time: it is not
	bool is_moved;    // one of these, since they were read
	bool is_met;      // on this page: with a token that is due
	bool is_stopped;  // and that had to wait
};

struct DueClients {
	const DueRules *rules;
	DueBy by;
	TimestampTz now;
	DueClient *list;
	int size;
	int room;
};

DueClients due_clients(const DueRules *rules, DueBy by, TimestampTz now);

// The access or grant of table columns.
Datum kind_of(DueBy by);

// To be called first: clients with a backlog that may have some of it now. Who was served
// long ago comes first.
void find_waiting_clients(DueClients &clients);

// Good until another one is looked for.
DueClient &find_client(DueClients &clients, Datum client_id);

void save_clients(const DueClients &clients);

} // namespace oauth_tokens
