#include "refresh/stored_details.hpp"

#include "postgres/member_query.hpp"
#include "refresh/client.hpp"
#include "schema/details_policies.hpp"
#include "tokens/table_query.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

char *select_statement(const TokenTable &table)
{
	return psprintf("SELECT account_id, issuer, client_id, pg_catalog.date_part('epoch', lifetime),"
					" oauth_tokens_internal.connection_details(token_id, account_id,"
					" account_label, issuer, client_id, lifetime, connected_at, extra)"
					" FROM %s WHERE %s AND token_id OPERATOR(pg_catalog.=) $5",
					table.details_name, kWhereIdentity);
}

} // namespace

StoredDetails stored_details(const TokenTable &table, const LockedToken &token)
{
	static PlanCache kept;
	SpiParameters parameters = identity_parameters(table, token.identity, {as::uuid(&token.id)});
	SPIPlanPtr plan = cached_plan(
		kept, table, [&] { return select_statement(table); }, parameters.count, parameters.types);
	execute_following(plan, parameters.values, parameters.nulls, token.identity, token.identity);
	StoredDetails details = {};
	if (SPI_processed > 0) {
		bool is_unknown;
		details.owner = {returned_text(1), returned_text(2), returned_text(3)};
		const Datum lifetime = returned(4, &is_unknown);
		if (!is_unknown)
			details.lifetime = static_cast<TimestampTz>(DatumGetFloat8(lifetime) * USECS_PER_SEC);
		details.json = DatumGetJsonbPCopy(returned(5));
	}
	details.client_id =
		client_name(details.owner.client_id == nullptr ? "" : view_of(details.owner.client_id));
	return details;
}

} // namespace oauth_tokens
