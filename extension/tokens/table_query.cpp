#include "tokens/table_query.hpp"

#include "postgres/member_query.hpp"
#include "tokens/indexed_plan.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace oauth_tokens
{

SpiParameters identity_parameters(const TokenTable &table, const Identity &identity,
								  Parameters others)
{
	SpiParameters parameters({{UUIDOID, identity.workspace_id()},
							  {TEXTOID, identity.provider()},
							  {table.enum_type, identity.actor_type()},
							  {TEXTOID, identity.actor_id()}});
	parameters.add(others);
	return parameters;
}

Identity returned_identity()
{
	auto *workspace_id = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
	*workspace_id = *DatumGetUUIDP(returned(1));
	return {{UUIDPGetDatum(workspace_id), PointerGetDatum(DatumGetTextPCopy(returned(2))),
			 returned(3), PointerGetDatum(DatumGetTextPCopy(returned(4)))}};
}

std::uint64_t execute_on_tables(SPIPlanPtr plan, SpiParameters &parameters, int expected)
{
	const bool only_read = expected == SPI_OK_SELECT;
	const int result = execute_indexed_plan(plan, parameters.values, parameters.nulls, only_read,
											only_read ? 1 : 0);
	if (result != expected)
		elog(ERROR, "could not execute a statement on oauth_tokens: %s",
			 SPI_result_code_string(result));
	return SPI_processed;
}

} // namespace oauth_tokens
