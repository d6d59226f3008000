#include "cache/cache_tables.hpp"
#include "cache/mark_change.hpp"
#include "cache/wake_up.hpp"
#include "details_policies.hpp"
#include "flow/settings.hpp"
#include "indexed_plan.hpp"
#include "key_page.hpp"
#include "key_ring.hpp"
#include "refresh/refresh_requests.hpp"
#include "token_table.hpp"

#include "postgres.hpp"

OAUTH_EXPORT_BEGIN
OAUTH_MODULE_MAGIC;

void _PG_init()
{
	oauth_tokens::flow_settings_init();
	oauth_tokens::key_page_init();
	oauth_tokens::key_ring_init();
	oauth_tokens::token_table_init();
	oauth_tokens::indexed_plan_init();
	oauth_tokens::details_policies_init();
	oauth_tokens::cache_tables_init();
	oauth_tokens::mark_change_init();
	oauth_tokens::wake_up_init();
	oauth_tokens::refresh_requests_init();
}
OAUTH_EXPORT_END
