#include "redaction/activity.hpp"

#include "redaction/statement_text.hpp"

#include <cstring>

#include "postgres/compat.hpp"

extern "C" {
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "utils/backend_status.h"
}

// PGSTAT_BEGIN_WRITE_ACTIVITY() counts a volatile up.
#pragma GCC diagnostic ignored "-Wvolatile"

namespace oauth_tokens
{

const char *activity_since(TimestampTz statement)
{
	const bool is_of_it =
		MyBEEntry == nullptr || MyBEEntry->st_activity_start_timestamp == statement;
	return is_of_it ? nullptr : MyBEEntry->st_activity_raw;
}

void hide_activity(std::string_view function)
{
	if (MyBEEntry == nullptr || MyBEEntry->st_activity_raw == nullptr)
		return;
	const auto size = static_cast<std::size_t>(pgstat_track_activity_query_size);
	char *at = MyBEEntry->st_activity_raw;
	const char *const end = at + size - 1;

	PGSTAT_BEGIN_WRITE_ACTIVITY(MyBEEntry);
	std::memset(at, 0, size);
	for (const std::string_view part : {placeholder_begin, function, std::string_view(">")})
		at += part.copy(at, static_cast<std::size_t>(end - at));
	PGSTAT_END_WRITE_ACTIVITY(MyBEEntry);
}

} // namespace oauth_tokens
