// Refreshes tokens that nobody asks for (docs/design/refresh.md, "Ahead of time"). Which ones, and
// how many a second, the database says, so that all sidecars share the work.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <string>
#include <vector>

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

	// Whether a provider wants it.
	bool is_wanted() const noexcept { return !providers_.empty(); }

	// Until stop(). What goes wrong is logged, once, and tried again.
	Awaitable<void> run();
	// Begins no more.
	void stop();

private:
	Awaitable<std::chrono::milliseconds> look();
	Awaitable<void> refresh(database::WantedRefresh wanted);
	void complain(const database::StoreError &error);

	const RefreshContext &context_;
	Refresher &refresher_;
	boost::asio::steady_timer timer_;
	std::vector<std::string> providers_;
	Clock::time_point found_{}; // something, the last time
	Clock::time_point resting_until_{};
	int under_way_ = 0;
	bool is_stopped_ = false;
	std::string last_fault_;
};

} // namespace sidecar::refresh
