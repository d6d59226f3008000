#include "refresh_ahead/due_clients.hpp"

#include <algorithm>

#include "postgres/owner_query.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

namespace
{

constexpr int kMostWaiting = 16; // of whom a look thinks

// At most as many as a second allows are saved up.
ClientCredit find_credit(const RefreshClient &client, float8 per_second, TimestampTz now)
{
	static MemberQuery statement = {
		"SELECT paused_until, credit, credit_at FROM oauth_tokens_internal.refresh_clients"
		" WHERE provider OPERATOR(pg_catalog.=) $1 AND client_id OPERATOR(pg_catalog.=) $2"};
	const float8 most = std::max(1.0, per_second);
	ClientCredit found = {client, false, most, false};
	if (run_as_owner(statement, {{TEXTOID, client.provider}, {TEXTOID, client.client_id}}) == 0)
		return found;
	bool is_null;
	const Datum credit = returned(2, &is_null);
	if (!is_null) {
		const TimestampTz since = std::max<TimestampTz>(0, now - DatumGetTimestampTz(returned(3)));
		found.credit = std::min(most, DatumGetFloat8(credit) +
										  per_second * static_cast<float8>(since) / USECS_PER_SEC);
	}
	const Datum paused_until = returned(1, &is_null);
	found.is_paused = !is_null && DatumGetTimestampTz(paused_until) > now;
	if (!is_null)
		found.credit = std::min(found.credit, 1.0); // one tries whether the pause is over
	return found;
}

// Where it was spent. One session at a time.
void save_credit(const ClientCredit &credit, TimestampTz now)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, credit,"
		" credit_at, updated_at) VALUES ($1, $2, $3, $4, $4)"
		" ON CONFLICT (provider, client_id) DO UPDATE SET credit = $3, credit_at = $4"};
	if (!credit.is_spent)
		return;
	run_as_owner(statement, {{TEXTOID, credit.client.provider},
							 {TEXTOID, credit.client.client_id},
							 as::float8(credit.credit),
							 as::timestamptz(now)});
}

DueClient &add_client(DueClients &clients, Datum client_id)
{
	if (clients.size == clients.room) {
		clients.room = Max(32, clients.room * 2);
		const std::size_t bytes = sizeof(DueClient) * clients.room;
		clients.list = static_cast<DueClient *>(
			clients.list == nullptr ? palloc(bytes) : repalloc(clients.list, bytes));
	}
	DueClient &client = clients.list[clients.size++];
	client = {};
	client.credit =
		find_credit({clients.rules->provider, client_id}, clients.rules->per_second, clients.now);
	return client;
}

void read_backlog(const DueClients &clients, DueClient &client)
{
	static MemberQuery statement = {
		"SELECT time, id, resume_time, resume_id FROM oauth_tokens_internal.refresh_places"
		" WHERE provider OPERATOR(pg_catalog.=) $1 AND client_id OPERATOR(pg_catalog.=) $2"
		" AND kind OPERATOR(pg_catalog.=) $3"};
	client.has_backlog = run_as_owner(statement, {{TEXTOID, clients.rules->provider},
												  {TEXTOID, client.credit.client.client_id},
												  {TEXTOID, kind_of(clients.by)}}) > 0;
	if (!client.has_backlog)
		return;
	client.from = {DatumGetTimestampTz(returned(1)), *DatumGetUUIDP(returned(2))};
	if (const TimestampTz resume = returned_time(3))
		client.resume = {resume, *DatumGetUUIDP(returned(4))};
}

void save_backlog(const DueClients &clients, const DueClient &client)
{
	static MemberQuery keep = {
		"INSERT INTO oauth_tokens_internal.refresh_places"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
		" ON CONFLICT (provider, client_id, kind) DO UPDATE SET time = $4, id = $5,"
		" resume_time = $6, resume_id = $7, served_at = $8"};
	static MemberQuery forget = {
		"DELETE FROM oauth_tokens_internal.refresh_places"
		" WHERE provider OPERATOR(pg_catalog.=) $1 AND client_id OPERATOR(pg_catalog.=) $2"
		" AND kind OPERATOR(pg_catalog.=) $3"};
	const Datum provider = clients.rules->provider;
	const Datum client_id = client.credit.client.client_id;
	const bool has_rest = client.resume.time != 0;
	if (client.has_backlog)
		run_as_owner(keep, {{TEXTOID, provider},
							{TEXTOID, client_id},
							{TEXTOID, kind_of(clients.by)},
							as::timestamptz(client.from.time),
							as::uuid(&client.from.id),
							as::timestamptz_or_null(client.resume.time),
							as::uuid(has_rest ? &client.resume.id : nullptr),
							as::timestamptz(clients.now)});
	else
		run_as_owner(forget,
					 {{TEXTOID, provider}, {TEXTOID, client_id}, {TEXTOID, kind_of(clients.by)}});
}

} // namespace

DueClients due_clients(const DueRules *rules, DueBy by, TimestampTz now)
{
	return {rules, by, now, nullptr, 0, 0};
}

Datum kind_of(DueBy by)
{
	return CStringGetTextDatum(by == DueBy::grant_end ? "grant" : "access");
}

void find_waiting_clients(DueClients &clients)
{
	static MemberQuery statement = {
		"SELECT p.client_id FROM oauth_tokens_internal.refresh_places p"
		" LEFT JOIN oauth_tokens_internal.refresh_clients c"
		" ON c.provider OPERATOR(pg_catalog.=) p.provider"
		" AND c.client_id OPERATOR(pg_catalog.=) p.client_id"
		" WHERE p.provider OPERATOR(pg_catalog.=) $1 AND p.kind OPERATOR(pg_catalog.=) $2"
		" AND (c.paused_until OPERATOR(pg_catalog.>) $3) IS NOT TRUE"
		" AND (c.credit OPERATOR(pg_catalog.+) ($4 OPERATOR(pg_catalog.*) GREATEST(0.0,"
		" pg_catalog.date_part('epoch', $3 OPERATOR(pg_catalog.-) c.credit_at)))"
		" OPERATOR(pg_catalog.<) 1) IS NOT TRUE ORDER BY p.served_at LIMIT $5"};
	const auto size =
		static_cast<int>(run_as_owner(statement, {{TEXTOID, clients.rules->provider},
												  {TEXTOID, kind_of(clients.by)},
												  as::timestamptz(clients.now),
												  as::float8(clients.rules->per_second),
												  as::int8(kMostWaiting)}));
	SPITupleTable *found = SPI_tuptable;
	for (int i = 0; i < size; i++) {
		bool is_null;
		find_client(clients, SPI_getbinval(found->vals[i], found->tupdesc, 1, &is_null));
	}
}

DueClient &find_client(DueClients &clients, Datum client_id)
{
	const std::string_view wanted = view_of(DatumGetTextPP(client_id));
	for (int i = 0; i < clients.size; i++)
		if (view_of(DatumGetTextPP(clients.list[i].credit.client.client_id)) == wanted)
			return clients.list[i];
	DueClient &client = add_client(clients, client_id);
	read_backlog(clients, client);
	return client;
}

void save_clients(const DueClients &clients)
{
	for (int i = 0; i < clients.size; i++) {
		const DueClient &client = clients.list[i];
		save_credit(client.credit, clients.now);
		if (client.is_moved)
			save_backlog(clients, client);
	}
}

} // namespace oauth_tokens
