// Refreshes tokens. In this process, one refresh of an identity runs at a time, and all its
// callers share the outcome. Between processes, the database decides.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "refresh/gate.hpp"
#include "refresh/outcome.hpp"
#include "refresh/refresh_context.hpp"
#include "refresh/replayer.hpp"

namespace sidecar::refresh
{

class Refresher
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;
	using Clock = std::chrono::steady_clock;

	// Both live as long as it does.
	Refresher(const RefreshContext &context, Replayer &replayer);

	// Throws no StoreError. Waits for `limit` at most; the refresh continues without its
	// callers. The new token is in the database: the caller reads it there. May be called on any
	// loop; everything else is for the context's own.
	Awaitable<Outcome> refresh(database::WantedRefresh wanted, std::chrono::milliseconds limit);
	// How long a caller waits that has no valid token.
	std::chrono::milliseconds patience() const noexcept;

	std::size_t under_way() const noexcept { return flights_.size(); }
	// Waits until none is under way, or the time is over.
	Awaitable<void> drain(std::chrono::milliseconds limit);

private:
	struct Waiter;
	// A refresh, and its callers.
	struct Flight {
		database::WantedRefresh wanted;
		std::optional<Outcome> outcome;
		std::list<Waiter *> waiters;
	};

	Awaitable<Outcome> refresh_here(database::WantedRefresh wanted,
									std::chrono::milliseconds limit);
	std::shared_ptr<Flight> join(const database::WantedRefresh &wanted);
	Awaitable<void> fly(std::shared_ptr<Flight> flight, std::string key);
	Awaitable<Outcome> make(const database::WantedRefresh &wanted);
	Awaitable<Outcome> begin(const database::WantedRefresh &wanted, const oauth::Provider &provider,
							 const oauth::ProviderEndpoints &endpoints,
							 const std::optional<Outcome> &before);
	Awaitable<bool> has_spool();
	Outcome refused(const database::StoreError &error);

	const RefreshContext &context_;
	Replayer &replayer_;
	Gate gate_;
	std::map<std::string, Gate, std::less<>> provider_gates_;
	std::map<std::string, std::shared_ptr<Flight>, std::less<>> flights_; // by identity
	bool is_spool_suspect_ = true;
	std::string last_refusal_; // by the database, and when it was logged
	Clock::time_point refused_at_{};
};

} // namespace sidecar::refresh
