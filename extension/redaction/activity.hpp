// The text of the running statement in pg_stat_activity.
#pragma once

#include <string_view>

namespace oauth_tokens
{

// What is shown of this session; null: nothing is.
const char *shown_activity();

// Replaces the text of this session's statement, over the full width: the tail of a longer
// text would stay in shared memory, where a crash report finds it.
void hide_activity(std::string_view function);

} // namespace oauth_tokens
