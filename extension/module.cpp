#include "fresh_token/refresh_requests.hpp"
#include "invalidation/cache_tables.hpp"
#include "invalidation/change_notification.hpp"
#include "invalidation/change_trigger.hpp"
#include "keys/key_ring.hpp"
#include "keys/key_ring_reload.hpp"
#include "redaction/redaction.hpp"
#include "schema/details_policies.hpp"
#include "settings.hpp"
#include "tokens/get_scan.hpp"
#include "tokens/identity.hpp"
#include "tokens/indexed_plan.hpp"
#include "tokens/token_table.hpp"

#include "postgres/compat.hpp"

OAUTH_EXPORT_BEGIN
OAUTH_MODULE_MAGIC;

void _PG_init()
{
	oauth_tokens::redaction_init();
	oauth_tokens::settings_init();
	oauth_tokens::load_key_ring();
	oauth_tokens::key_ring_init();
	oauth_tokens::token_table_init();
	oauth_tokens::identity_init();
	oauth_tokens::indexed_plan_init();
	oauth_tokens::get_scan_init();
	oauth_tokens::details_policies_init();
	oauth_tokens::cache_tables_init();
	oauth_tokens::change_trigger_init();
	oauth_tokens::change_notification_init();
	oauth_tokens::refresh_requests_init();
}
OAUTH_EXPORT_END
