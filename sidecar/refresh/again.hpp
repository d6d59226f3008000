// Repeats a transaction at once that failed because of a concurrent one.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "database/database_error.hpp"

namespace sidecar::refresh
{

// `work` makes an awaitable that may throw StoreError. Each call of it is one transaction.
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
