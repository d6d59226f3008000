// Settings under which our own administration runs: names resolve to the
// catalog alone, a row security policy makes a statement fail instead of seeing
// fewer rows, and now() in a new timestamp column is UTC. An error undoes them
// with the transaction.
#pragma once

#include "postgres.hpp"

namespace oauth_tokens
{

struct SafeSettings {
	int nest_level;
};

inline SafeSettings begin_safe_settings()
{
	constexpr const char *settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"}, {"row_security", "off"}, {"TimeZone", "UTC"}};
	const SafeSettings level = {NewGUCNestLevel()};
	for (const auto &[name, value] : settings)
		set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

inline void end_safe_settings(SafeSettings settings)
{
	AtEOXact_GUC(true, settings.nest_level);
}

} // namespace oauth_tokens
