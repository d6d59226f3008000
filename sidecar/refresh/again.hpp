// A transaction that another one got in the way of, at once again.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "database/database_error.hpp"

namespace sidecar::refresh
{

// `work` makes an awaitable that throws StoreError, each time it is called; one of these is
// a transaction of its own.
template <typename Work>
auto again_if_rolled_back(Work work) -> decltype(work())
{
	constexpr int kTimes = 5;
	for (int times = 1;; times++) {
		try {
			co_return co_await work();
		} catch (const database::StoreError &error) {
			if (times == kTimes || !error.was_rolled_back())
				throw;
		}
	}
}

} // namespace sidecar::refresh
