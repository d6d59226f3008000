// The text of the running statement in pg_stat_activity.
#pragma once

#include <string_view>

#include "postgres/compat.hpp"

namespace oauth_tokens
{

// What is shown of this session, unless it is of the statement that began at this time;
// null: nothing.
const char *activity_since(TimestampTz statement);

// Replaces the text of this session's statement, over the full width: the tail of a longer
// text would stay in shared memory, where a crash report finds it.
void hide_activity(std::string_view function);

} // namespace oauth_tokens
