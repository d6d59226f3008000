// Requests for a refresh, in shared memory: callers make them and wait, listeners (the
// sidecars) take and answer them, commits wake the callers. docs/refresh-requests.md
// says how, and what happens if a part of it fails. Only if the server preloads the
// library. Everything here is of this session's database alone.
#pragma once

#include <cstdint>
#include <span>

#include "fresh_token/requested_identity.hpp"

namespace oauth_tokens
{

inline constexpr int kRefreshRequests = 256; // of all databases, as the next
inline constexpr int kRefreshListeners = 128;
inline constexpr int kMaxReasonBytes = 500;

void refresh_requests_init();

// Whether there is shared memory; else nothing below may be called.
bool can_request_refresh();

// Of CLOCK_MONOTONIC, the same in all processes.
std::int64_t monotonic_milliseconds();

// What a listener says if no commit does.
enum class RefreshOutcome : std::uint8_t {
	fresh,
	needs_reauthorization,
	no_refresh_token,
	backoff,
	not_connected
};

// Callers.

// A caller's part in a request.
struct RefreshTicket {
	int request = -1; // none
	std::uint64_t answers;
	std::uint64_t changes; // of the row, as far as the caller has looked
	RefreshTicket *outer;  // of a call around this one, in a policy's function
};

struct RefreshAnswer {
	RefreshOutcome outcome;
	bool is_for_all; // else another caller asked for less than this one
	char reason[kMaxReasonBytes + 1];
};

// False if no request is free for this role and database: some always are for others.
// min_ttl is in microseconds. If the process ends,
// it leaves by itself; if an error is raised, the caller must.
bool join_refresh(const RequestedIdentity &identity, std::int64_t min_ttl, RefreshTicket &ticket);

// Also for a ticket without a request; ends every sleep. Never raises.
void leave_refresh(RefreshTicket &ticket);

// If all are in use: to be called before join_refresh(), so that one that is freed
// after it ends the sleep.
void expect_free_request();
void sleep_for_free_request(std::int64_t milliseconds);

// After an answer that is not for this caller.
void ask_refresh_again(RefreshTicket &ticket, std::int64_t min_ttl);

// To be called before each look at the row: what happens after it ends the next sleep.
void expect_refresh(RefreshTicket &ticket);

// Until the row may have changed, a listener answered, or that long. Raises if the
// statement is cancelled.
void sleep_for_refresh(const RefreshTicket &ticket, std::int64_t milliseconds);

// Whether there was one since the ticket was given or asked again.
bool read_refresh_answer(const RefreshTicket &ticket, std::int64_t min_ttl, RefreshAnswer &answer);

bool is_refresh_taken(const RefreshTicket &ticket);

bool is_refresh_listener_there();

// Listeners.

struct TakenRefresh {
	RequestedIdentity identity;
	std::int64_t min_ttl; // microseconds
};

// This session listens, from now on for some seconds. False if too many do.
bool listen_for_refreshes();

// Takes one that no listener works on. False if there is none.
bool take_refresh(TakenRefresh &taken);

// Sleeps until there may be one to take, or that long.
void prepare_to_listen();
void sleep_for_requests(std::int64_t milliseconds);
void end_listening();

// Whether somebody waits for it. `reason` has at most kMaxReasonBytes.
bool answer_refresh(const RequestedIdentity &identity, RefreshOutcome outcome, const char *reason);

// Commits.

// Whether anybody waits, in any database: one read of a counter.
bool is_refresh_awaited();

// Wakes the callers of these identities, or all of them. Never raises.
void wake_refresh_callers(std::span<const std::uint64_t> hashes);
void wake_all_refresh_callers();

} // namespace oauth_tokens
