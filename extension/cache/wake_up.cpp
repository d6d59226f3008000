#include "cache/wake_up.hpp"

namespace oauth_tokens
{

namespace
{

// Databases share slots by chance; who is woken for another one looks in vain.
constexpr int kSlots = 64;

struct Slot {
	ConditionVariable woken;
	pg_atomic_uint64 count;
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
	}
	LWLockRelease(AddinShmemInitLock);
}

Slot &slot_of_database()
{
	return slots[MyDatabaseId % kSlots];
}

} // namespace

void wake_up_init()
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = make_slots;
}

bool can_wake_up()
{
	return slots != nullptr;
}

void wake_up()
{
	if (!can_wake_up())
		return;
	Slot &slot = slot_of_database();
	pg_atomic_fetch_add_u64(&slot.count, 1);
	ConditionVariableBroadcast(&slot.woken);
}

bool wait_for_wake_up(std::int64_t milliseconds)
{
	static bool waited = false;
	static std::uint64_t seen = 0;
	Slot &slot = slot_of_database();
	const TimestampTz end = GetCurrentTimestamp() + milliseconds * 1000;
	ConditionVariablePrepareToSleep(&slot.woken);
	for (;;) {
		CHECK_FOR_INTERRUPTS();
		const std::uint64_t count = pg_atomic_read_u64(&slot.count);
		if (!waited || count != seen) {
			waited = true;
			seen = count;
			ConditionVariableCancelSleep();
			return true;
		}
		const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		if (left <= 0)
			break;
		ConditionVariableTimedSleep(&slot.woken, left, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return false;
}

} // namespace oauth_tokens
