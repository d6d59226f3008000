// When to try again: 100 ms after the first failure, twice that after the next,
// and so on to 5 s; jittered, so that daemons that lost one server do not all
// come back at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace sidecar
{

class Backoff
{
public:
	using Clock = std::chrono::steady_clock;

	bool has_failed() const noexcept { return failures_ > 0; }
	bool is_due(Clock::time_point now) const noexcept { return now >= next_; }
	Clock::time_point next() const noexcept { return next_; }

	void succeed() noexcept
	{
		failures_ = 0;
		next_ = {};
	}

	// How long to wait.
	std::chrono::milliseconds fail(Clock::time_point now)
	{
		const auto longest = std::min(kLast, kFirst * (1 << std::min(failures_, 10)));
		std::uniform_int_distribution<long long> pick(longest.count() / 2, longest.count());
		const std::chrono::milliseconds wait(pick(random_));
		next_ = now + wait;
		failures_++;
		return wait;
	}

private:
	static constexpr std::chrono::milliseconds kFirst{100};
	static constexpr std::chrono::milliseconds kLast{5000};

	int failures_ = 0;
	Clock::time_point next_{};
	std::minstd_rand random_{std::random_device()()};
};

} // namespace sidecar
