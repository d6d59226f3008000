// Wakes who waits for changes, through shared memory, as soon as a transaction
// with invalidations has committed. Only if the server preloads the library.
#pragma once

#include <cstdint>

#include "invalidation/cache_tables.hpp"

namespace oauth_tokens
{

void change_notification_init();

// Never raises: it is called when the transaction can no longer fail.
void notify_change();

// The same for one that was prepared: who waits looks every 5 ms from now on, until
// no transaction of this database is prepared any more.
void notify_change_of_prepared();

// Sleeps until somebody woke this database since the session's last call, or for
// that long; whether somebody did. The first call of a session returns true.
bool wait_for_change(std::int64_t milliseconds);

// Without shared memory, it looks again and again.
bool can_notify_change();

} // namespace oauth_tokens
