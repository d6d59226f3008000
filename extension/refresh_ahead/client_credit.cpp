#include "refresh_ahead/client_credit.hpp"

#include <algorithm>

#include "postgres/owner_query.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

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

} // namespace oauth_tokens
