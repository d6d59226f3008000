// Serves the callers of oauth_fresh_access_token() (docs/refresh-requests.md).
#pragma once

#include <string>

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
	void complain(const database::StoreError &error);

	const RefreshContext &context_;
	Refresher &refresher_;
	bool is_stopped_ = false;
	std::string last_fault_;
};

} // namespace sidecar::refresh
