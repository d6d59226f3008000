// Settings under which our own administration runs: names resolve to the
// catalog alone, a row security policy makes a statement fail instead of seeing
// fewer rows, a backslash in our statements is one, expressions of the catalog are written as we
// know them, and now() in a new timestamp column is UTC. An error undoes them with the transaction.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "executor/spi.h"
#include "utils/guc.h"
}

namespace oauth_tokens
{

struct SafeSettings {
	int nest_level;
};

inline SafeSettings begin_safe_settings()
{
	constexpr const char *settings[][2] = {{"search_path", "pg_catalog, pg_temp"},
										   {"row_security", "off"},
										   {"standard_conforming_strings", "on"},
										   {"quote_all_identifiers", "off"},
										   {"TimeZone", "UTC"}};
	const SafeSettings level = {NewGUCNestLevel()};
	for (const auto &[name, value] : settings)
		set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

inline void end_safe_settings(SafeSettings settings)
{
	AtEOXact_GUC(true, settings.nest_level);
}

// Runs a statement under them, within an SPI connection; what it returns stands
// in SPI_tuptable.
inline void execute_safely(const char *sql)
{
	const int result = SPI_execute(sql, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}

} // namespace oauth_tokens
