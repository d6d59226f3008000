#pragma once

namespace oauth_tokens
{

// Follows transactions: what was found out in one holds for that one.
void change_trigger_init();

} // namespace oauth_tokens
