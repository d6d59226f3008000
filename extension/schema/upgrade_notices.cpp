#include "schema/upgrade_notices.hpp"

#include "postgres/safe_settings.hpp"
#include "schema/missing_grants.hpp"
#include "schema/table_definition.hpp"

namespace oauth_tokens
{

void tell_missing_grants()
{
	ListCell *cell;
	foreach (cell, missing_grants()) {
		const auto *grants = static_cast<const MissingGrants *>(lfirst(cell));
		ereport(NOTICE, (errmsg("%s", grants->what), errhint("As a superuser: %s", grants->fix)));
	}
}

void tell_alembic(Migrated migrated, const char *before, const char *head)
{
	execute_safely("SELECT 1 FROM pg_catalog.pg_class c"
				   " WHERE c.relname = 'alembic_version' AND c.relkind = 'r'"
				   " AND c.relpersistence <> 't' LIMIT 1");
	if (SPI_processed == 0)
		return;
	if (migrated == Migrated::dropped) {
		ereport(NOTICE, (errmsg("Alembic does not know that oauth_tokens was dropped"),
						 errhint("If revision %s is yours: alembic stamp %s.", head, before)));
		return;
	}
	ereport(
		NOTICE,
		(errmsg("Alembic must know of what oauth_tokens_upgrade() adds, or its next autogenerate "
				"drops it"),
		 errdetail(
			 "The model needs UniqueConstraint(\"workspace_id\", \"provider\", "
			 "\"actor_type\", \"actor_id\", name=\"uq_oauth_tokens_identity\"), "
			 "Index(\"idx_oauth_tokens_workspace_id\", \"workspace_id\"), "
			 "Index(\"idx_oauth_tokens_workspace_provider\", \"workspace_id\", \"provider\"), "
			 "server_default=text(\"gen_random_uuid()\") for id, and "
			 "server_default=text(\"now()\") for created_at and updated_at. "
			 "In env.py, include_name must leave out %s.",
			 kDetailsName),
		 migrated == Migrated::made
			 ? errhint("If revision %s of yours would make oauth_tokens, too: alembic stamp %s. "
					   "docs/adopting.md shows the rest.",
					   head, head)
			 : errhint("docs/adopting.md shows how.")));
}

} // namespace oauth_tokens
