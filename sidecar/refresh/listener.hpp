// Serves the callers of oauth_fresh_access_token() (docs/refresh-requests.md).
#pragma once

#include "database/refusal_log.hpp"
#include "refresh/refresher.hpp"

namespace sidecar::refresh
{

class Listener
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;

	Listener(const RefreshContext &context, Refresher &refresher)
		: context_(context), refresher_(refresher)
	{
	}

	// Runs until stop(). A failure is logged once, and tried again.
	Awaitable<void> run();
	void stop() noexcept { is_stopped_ = true; }

private:
	Awaitable<void> serve(database::WantedRefresh wanted);
	Awaitable<void> take();

	const RefreshContext &context_;
	Refresher &refresher_;
	bool is_stopped_ = false;
	database::RefusalLog refusals_;
};

} // namespace sidecar::refresh
