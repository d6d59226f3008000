// Which tokens this transaction has changed, for the callers that wait for them.
#pragma once

#include <cstdint>

namespace oauth_tokens
{

// One whose identity has this hash, or any.
void note_changed_token(std::uint64_t hash);
void note_changed_tokens();

// At the end of a transaction: wakes the callers, if it has committed. Never raises.
void end_changed_tokens(bool has_committed);

} // namespace oauth_tokens
