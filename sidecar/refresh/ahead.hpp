// Refreshes tokens that nobody asks for (docs/design/refresh.md, "Ahead of time"). The
// database says which ones, and how many a second, so that all daemons share the work.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "database/refusal_log.hpp"
#include "refresh/refresher.hpp"

namespace sidecar::refresh
{

class Ahead
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;
	using Clock = std::chrono::steady_clock;

	Ahead(const RefreshContext &context, Refresher &refresher);

	// Whether a provider has this switched on.
	bool is_wanted() const noexcept { return !providers_.empty(); }

	// Runs until stop(). A failure is logged once, and tried again.
	Awaitable<void> run();
	// No more refreshes are begun.
	void stop();

private:
	Awaitable<std::chrono::milliseconds> look();
	Awaitable<void> refresh(database::WantedRefresh wanted);

	const RefreshContext &context_;
	Refresher &refresher_;
	boost::asio::steady_timer timer_;
	std::vector<std::string> providers_;
	Clock::time_point found_{}; // when something was last found
	Clock::time_point resting_until_{};
	int under_way_ = 0;
	bool is_stopped_ = false;
	database::RefusalLog refusals_;
};

} // namespace sidecar::refresh
