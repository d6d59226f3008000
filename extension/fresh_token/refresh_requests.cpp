#include "fresh_token/refresh_requests.hpp"

#include <ctime>

#include "postgres/compat.hpp"

extern "C" {
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/wait_event.h"
}

namespace oauth_tokens
{

namespace
{

constexpr const char *kTranche = "oauth_tokens refresh";

// A listener calls at least once a second.
constexpr std::int64_t kListens = 3'000; // ms

// A listener that is still there may have lost it.
constexpr std::int64_t kTaken = 10'000; // ms

enum class State : std::uint8_t { free, wanted, taken, answered };

struct Request {
	State state; // free: nobody waits
	RefreshOutcome outcome;
	Oid database;
	Oid role; // of the caller who made it
	int callers;
	int listener; // who took it: the place, and which session it had
	std::uint64_t listener_session;
	std::int64_t taken_at;
	std::int64_t min_ttl;
	std::int64_t told_min_ttl;     // to the listener that took it
	std::int64_t answered_min_ttl; // to the one that answered
	std::uint64_t answers;         // never starts anew, so that a ticket knows its own
	pg_atomic_uint64 changes;
	ConditionVariable moved;
	RequestedIdentity identity;
	char reason[kMaxReasonBytes + 1];
};
static_assert(sizeof(Request) <= 2048);

struct Listener {
	std::uint64_t session; // 0: never used
	std::int64_t called_at;
	Oid database;
	bool has_ended;
};

struct Memory {
	char before[PG_CACHE_LINE_SIZE];
	pg_atomic_uint32 in_use; // requests
	char after[PG_CACHE_LINE_SIZE];
	LWLock *lock;
	std::uint64_t sessions;
	ConditionVariable asked;
	ConditionVariable freed; // a request
	Listener listeners[kRefreshListeners];
	Request requests[kRefreshRequests];
};

Memory *memory = nullptr;
shmem_request_hook_type next_request_hook = nullptr;
shmem_startup_hook_type next_startup_hook = nullptr;

RefreshTicket *our_tickets = nullptr; // innermost first

// This session's place among the listeners.
int our_place = -1;
std::uint64_t our_session = 0;

void request_memory()
{
	if (next_request_hook != nullptr)
		next_request_hook();
	RequestAddinShmemSpace(sizeof(Memory));
	RequestNamedLWLockTranche(kTranche, 1);
}

void make_memory()
{
	if (next_startup_hook != nullptr)
		next_startup_hook();
	bool found;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = static_cast<Memory *>(ShmemInitStruct(kTranche, sizeof(Memory), &found));
	if (!found) {
		memset(static_cast<void *>(memory), 0, sizeof(Memory));
		memory->lock = &GetNamedLWLockTranche(kTranche)->lock;
		pg_atomic_init_u32(&memory->in_use, 0);
		ConditionVariableInit(&memory->asked);
		ConditionVariableInit(&memory->freed);
		for (Request &request : memory->requests) {
			pg_atomic_init_u64(&request.changes, 0);
			ConditionVariableInit(&request.moved);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

Request *find_request(const RequestedIdentity &identity)
{
	for (Request &request : memory->requests)
		if (request.state != State::free && request.database == MyDatabaseId &&
			is_same(request.identity, identity))
			return &request;
	return nullptr;
}

// A database may have as many as it leaves to the others, and a role as many as its database
// may still have. So however many take all they can, there is one for the next.
Request *find_free_request()
{
	Request *found = nullptr;
	int free = 0;
	int of_database = 0;
	int of_role = 0;
	for (Request &request : memory->requests) {
		if (request.state == State::free) {
			free++;
			found = &request;
		} else if (request.database == MyDatabaseId) {
			of_database++;
			of_role += request.role == GetUserId();
		}
	}
	return of_role < free - of_database ? found : nullptr;
}

// Whether listeners must hear of it.
bool want(Request &request, std::int64_t min_ttl)
{
	const bool is_new = request.state == State::free || request.state == State::answered;
	if (is_new || min_ttl > request.min_ttl)
		request.min_ttl = min_ttl;
	if (is_new)
		request.state = State::wanted;
	return is_new;
}

bool is_listening(const Listener &listener, std::int64_t now)
{
	return listener.session != 0 && now - listener.called_at < kListens;
}

bool is_worked_on(const Request &request, std::int64_t now)
{
	const Listener &listener = memory->listeners[request.listener];
	return now - request.taken_at < kTaken && listener.session == request.listener_session &&
		   !listener.has_ended && is_listening(listener, now);
}

bool is_offered(const Request &request, std::int64_t now)
{
	return request.database == MyDatabaseId &&
		   (request.state == State::wanted ||
			(request.state == State::taken && !is_worked_on(request, now)));
}

void leave_all(int, Datum)
{
	while (our_tickets != nullptr)
		leave_refresh(*our_tickets);
}

// What it took is offered again, at once.
void stop_listening(int, Datum)
{
	LWLockAcquire(memory->lock, LW_EXCLUSIVE);
	const bool is_ours = our_place >= 0 && memory->listeners[our_place].session == our_session;
	if (is_ours)
		memory->listeners[our_place].has_ended = true;
	LWLockRelease(memory->lock);
	if (is_ours)
		ConditionVariableBroadcast(&memory->asked);
}

// A database may have as many as it leaves to the others.
int find_place(std::int64_t now)
{
	if (our_place >= 0 && memory->listeners[our_place].session == our_session)
		return our_place;
	int found = -1;
	int free = 0;
	int of_database = 0;
	for (int place = 0; place < kRefreshListeners; place++) {
		const Listener &listener = memory->listeners[place];
		const bool is_free = !is_listening(listener, now) || listener.has_ended;
		free += is_free;
		of_database += !is_free && listener.database == MyDatabaseId;
		if (is_free && (found < 0 || memory->listeners[found].has_ended))
			found = place;
	}
	return of_database < free ? found : -1;
}

template <typename Chosen>
void wake_chosen(Chosen chosen)
{
	int found[kRefreshRequests];
	int count = 0;
	LWLockAcquire(memory->lock, LW_SHARED);
	for (int i = 0; i < kRefreshRequests; i++) {
		Request &request = memory->requests[i];
		if (request.state == State::free || request.database != MyDatabaseId ||
			!chosen(request.identity.hash))
			continue;
		pg_atomic_fetch_add_u64(&request.changes, 1);
		found[count++] = i;
	}
	LWLockRelease(memory->lock);
	// One that is another's by now is woken in vain.
	for (int i = 0; i < count; i++)
		ConditionVariableBroadcast(&memory->requests[found[i]].moved);
}

} // namespace

void refresh_requests_init()
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = make_memory;
}

bool can_request_refresh()
{
	return memory != nullptr;
}

std::int64_t monotonic_milliseconds()
{
	timespec now;
	::clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

bool join_refresh(const RequestedIdentity &identity, std::int64_t min_ttl, RefreshTicket &ticket)
{
	static bool is_watched = false;
	if (!is_watched) {
		before_shmem_exit(leave_all, (Datum)0);
		is_watched = true;
	}
	LWLockAcquire(memory->lock, LW_EXCLUSIVE);
	Request *request = find_request(identity);
	if (request == nullptr && (request = find_free_request()) != nullptr) {
		request->identity = identity;
		request->database = MyDatabaseId;
		request->role = GetUserId();
		request->callers = 0;
		pg_atomic_fetch_add_u32(&memory->in_use, 1);
	}
	bool is_wanted = false;
	if (request != nullptr) {
		is_wanted = want(*request, min_ttl);
		request->callers++;
		ticket = {static_cast<int>(request - memory->requests), request->answers,
				  pg_atomic_read_u64(&request->changes), our_tickets};
		our_tickets = &ticket;
	}
	LWLockRelease(memory->lock);
	if (is_wanted)
		ConditionVariableBroadcast(&memory->asked);
	return request != nullptr;
}

void leave_refresh(RefreshTicket &ticket)
{
	ConditionVariableCancelSleep();
	if (ticket.request < 0)
		return;
	LWLockAcquire(memory->lock, LW_EXCLUSIVE);
	Request &request = memory->requests[ticket.request];
	const bool is_last = --request.callers == 0;
	if (is_last) {
		request.state = State::free;
		pg_atomic_fetch_sub_u32(&memory->in_use, 1);
	}
	ticket.request = -1;
	our_tickets = ticket.outer;
	LWLockRelease(memory->lock);
	if (is_last)
		ConditionVariableSignal(&memory->freed);
}

void expect_free_request()
{
	ConditionVariablePrepareToSleep(&memory->freed);
}

void sleep_for_free_request(std::int64_t milliseconds)
{
	ConditionVariableTimedSleep(&memory->freed, milliseconds, PG_WAIT_EXTENSION);
}

void ask_refresh_again(RefreshTicket &ticket, std::int64_t min_ttl)
{
	LWLockAcquire(memory->lock, LW_EXCLUSIVE);
	Request &request = memory->requests[ticket.request];
	const bool is_wanted = want(request, min_ttl);
	ticket.answers = request.answers;
	LWLockRelease(memory->lock);
	if (is_wanted)
		ConditionVariableBroadcast(&memory->asked);
}

void expect_refresh(RefreshTicket &ticket)
{
	Request &request = memory->requests[ticket.request];
	ConditionVariablePrepareToSleep(&request.moved);
	ticket.changes = pg_atomic_read_u64(&request.changes);
}

void sleep_for_refresh(const RefreshTicket &ticket, std::int64_t milliseconds)
{
	Request &request = memory->requests[ticket.request];
	// The look may itself have slept, for a lock, and so missed what woke it.
	if (pg_atomic_read_u64(&request.changes) == ticket.changes)
		ConditionVariableTimedSleep(&request.moved, milliseconds, PG_WAIT_EXTENSION);
}

bool read_refresh_answer(const RefreshTicket &ticket, std::int64_t min_ttl, RefreshAnswer &answer)
{
	LWLockAcquire(memory->lock, LW_SHARED);
	const Request &request = memory->requests[ticket.request];
	const bool is_new = request.answers != ticket.answers;
	if (is_new) {
		answer.outcome = request.outcome;
		answer.is_for_all = min_ttl <= request.answered_min_ttl;
		memcpy(answer.reason, request.reason, sizeof answer.reason);
	}
	LWLockRelease(memory->lock);
	return is_new;
}

bool is_refresh_taken(const RefreshTicket &ticket)
{
	LWLockAcquire(memory->lock, LW_SHARED);
	const bool is_taken = memory->requests[ticket.request].state == State::taken;
	LWLockRelease(memory->lock);
	return is_taken;
}

bool is_refresh_listener_there()
{
	const std::int64_t now = monotonic_milliseconds();
	bool found = false;
	LWLockAcquire(memory->lock, LW_SHARED);
	for (const Listener &listener : memory->listeners)
		found = found || (listener.database == MyDatabaseId && is_listening(listener, now));
	LWLockRelease(memory->lock);
	return found;
}

bool listen_for_refreshes()
{
	static bool is_watched = false;
	if (!is_watched) {
		before_shmem_exit(stop_listening, (Datum)0);
		is_watched = true;
	}
	const std::int64_t now = monotonic_milliseconds();
	LWLockAcquire(memory->lock, LW_EXCLUSIVE);
	const int place = find_place(now);
	if (place >= 0) {
		Listener &listener = memory->listeners[place];
		if (place != our_place || listener.session != our_session) {
			our_place = place;
			our_session = ++memory->sessions;
		}
		listener = {our_session, now, MyDatabaseId, false};
	}
	LWLockRelease(memory->lock);
	return place >= 0;
}

bool take_refresh(TakenRefresh &taken)
{
	if (!is_refresh_awaited())
		return false;
	const std::int64_t now = monotonic_milliseconds();
	bool found = false;
	LWLockAcquire(memory->lock, LW_EXCLUSIVE);
	for (Request &request : memory->requests) {
		if (!is_offered(request, now))
			continue;
		request.state = State::taken;
		request.listener = our_place;
		request.listener_session = our_session;
		request.taken_at = now;
		request.told_min_ttl = request.min_ttl;
		taken.identity = request.identity;
		taken.min_ttl = request.min_ttl;
		found = true;
		break;
	}
	LWLockRelease(memory->lock);
	return found;
}

void prepare_to_listen()
{
	ConditionVariablePrepareToSleep(&memory->asked);
}

void sleep_for_requests(std::int64_t milliseconds)
{
	ConditionVariableTimedSleep(&memory->asked, milliseconds, PG_WAIT_EXTENSION);
}

void end_listening()
{
	ConditionVariableCancelSleep();
}

bool answer_refresh(const RequestedIdentity &identity, RefreshOutcome outcome, const char *reason)
{
	LWLockAcquire(memory->lock, LW_EXCLUSIVE);
	Request *request = find_request(identity);
	if (request != nullptr) {
		request->answered_min_ttl =
			request->state == State::taken ? request->told_min_ttl : request->min_ttl;
		request->state = State::answered;
		request->answers++;
		request->outcome = outcome;
		strlcpy(request->reason, reason, sizeof request->reason);
		pg_atomic_fetch_add_u64(&request->changes, 1);
	}
	LWLockRelease(memory->lock);
	if (request != nullptr)
		ConditionVariableBroadcast(&request->moved);
	return request != nullptr;
}

bool is_refresh_awaited()
{
	return memory != nullptr && pg_atomic_read_u32(&memory->in_use) > 0;
}

void wake_refresh_callers(std::span<const std::uint64_t> hashes)
{
	wake_chosen([&](std::uint64_t hash) {
		for (std::uint64_t changed : hashes)
			if (changed == hash)
				return true;
		return false;
	});
}

void wake_all_refresh_callers()
{
	wake_chosen([](std::uint64_t) { return true; });
}

} // namespace oauth_tokens
