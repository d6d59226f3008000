#include "invalidation/change_notification.hpp"

#include <algorithm>

#include "postgres/compat.hpp"

extern "C" {
#include "access/transam.h"
#include "access/twophase.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace oauth_tokens
{

namespace
{

// Databases share slots by chance; who is woken for another one looks in vain.
constexpr int kSlots = 64;

constexpr long kLookEvery = 5; // ms, while a prepared transaction may have invalidations

struct Slot {
	ConditionVariable woken;
	pg_atomic_uint64 count;
	pg_atomic_uint64 prepares; // transactions with invalidations that were prepared
};

Slot *slots = nullptr;
shmem_request_hook_type next_request_hook = nullptr;
shmem_startup_hook_type next_startup_hook = nullptr;

void request_memory()
{
	if (next_request_hook != nullptr)
		next_request_hook();
	RequestAddinShmemSpace(sizeof(Slot) * kSlots);
}

void make_slots()
{
	if (next_startup_hook != nullptr)
		next_startup_hook();
	bool found;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	slots =
		static_cast<Slot *>(ShmemInitStruct("oauth_tokens wake-up", sizeof(Slot) * kSlots, &found));
	for (int i = 0; !found && i < kSlots; i++) {
		ConditionVariableInit(&slots[i].woken);
		pg_atomic_init_u64(&slots[i].count, 0);
		pg_atomic_init_u64(&slots[i].prepares, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

Slot &slot_of_database()
{
	return slots[MyDatabaseId % kSlots];
}

// The transactions of this database that are prepared. They end in any backend,
// and no callback of ours hears of it.
struct Prepared {
	std::uint64_t count;
	std::uint64_t sum;

	bool operator==(const Prepared &) const = default;
};

// One that is no longer in progress is visible, if it committed. Its entry is read
// without a lock: a look at a half-made one is put right by the next.
Prepared look_at_prepared()
{
	Prepared found = {};
	for (int i = 0; i < max_prepared_xacts; i++) {
		const PGPROC &proc = PreparedXactProcs[i];
		const TransactionId xid = proc.xid;
		if (proc.databaseId != MyDatabaseId || !TransactionIdIsValid(xid) ||
			!TransactionIdIsInProgress(xid))
			continue;
		found.count++;
		found.sum += xid;
	}
	return found;
}

// What a session knows of prepared transactions. At its begin there may be some,
// left by one before or by a restart.
struct Watch {
	bool is_needed = true;
	std::uint64_t prepares = 0; // of the slot, when it was last needed
	Prepared seen = {};
};

// Whether one has ended, or begun, since the last look. Nothing is looked at until
// a transaction with invalidations is prepared, nor after the last one has ended.
bool has_prepared_changed(Watch &watch, Slot &slot)
{
	const std::uint64_t prepares = pg_atomic_read_u64(&slot.prepares);
	const bool is_new = prepares != watch.prepares; // it may have ended already
	if (!is_new && !watch.is_needed)
		return false;
	watch.prepares = prepares;
	const Prepared now = look_at_prepared();
	const bool has_changed = is_new || now != watch.seen;
	watch.seen = now;
	watch.is_needed = now.count > 0;
	return has_changed;
}

} // namespace

void change_notification_init()
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = make_slots;
}

bool can_notify_change()
{
	return slots != nullptr;
}

void notify_change()
{
	if (!can_notify_change())
		return;
	Slot &slot = slot_of_database();
	pg_atomic_fetch_add_u64(&slot.count, 1);
	ConditionVariableBroadcast(&slot.woken);
}

void notify_change_of_prepared()
{
	if (!can_notify_change())
		return;
	Slot &slot = slot_of_database();
	pg_atomic_fetch_add_u64(&slot.prepares, 1);
	ConditionVariableBroadcast(&slot.woken);
}

bool wait_for_change(std::int64_t milliseconds)
{
	static bool waited = false;
	static std::uint64_t seen = 0;
	static Watch watch;
	Slot &slot = slot_of_database();
	const TimestampTz end = GetCurrentTimestamp() + milliseconds * 1000;
	ConditionVariablePrepareToSleep(&slot.woken);
	for (;;) {
		CHECK_FOR_INTERRUPTS();
		const std::uint64_t count = pg_atomic_read_u64(&slot.count);
		const bool has_changed = has_prepared_changed(watch, slot);
		if (!waited || count != seen || has_changed) {
			waited = true;
			seen = count;
			ConditionVariableCancelSleep();
			return true;
		}
		const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		if (left <= 0)
			break;
		ConditionVariableTimedSleep(
			&slot.woken, watch.is_needed ? std::min(left, kLookEvery) : left, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return false;
}

} // namespace oauth_tokens
