// Settings under which our own administration runs: names resolve to the
// catalog alone, and a row security policy makes a statement fail instead of
// seeing fewer rows. An error undoes them with the transaction.
#pragma once

#include "postgres.hpp"

namespace oauth_tokens {

struct SafeSettings {
	int nest_level;
};

inline SafeSettings begin_safe_settings()
{
	const SafeSettings settings = {NewGUCNestLevel()};
	set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
					  false);
	return settings;
}

inline void end_safe_settings(SafeSettings settings)
{
	AtEOXact_GUC(true, settings.nest_level);
}

} // namespace oauth_tokens
