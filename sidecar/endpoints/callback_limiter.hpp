// Limits how many callbacks are under way: to what the provider client can send, so that the
// code of a claimed attempt is also redeemed; and for one provider to fewer, so that a slow
// one leaves room for the others.
#pragma once

#include <map>
#include <memory>
#include <string>

namespace sidecar::endpoints
{

inline constexpr int kMaxCallbacks = 200;
inline constexpr int kMaxCallbacksOfProvider = 100;

class CallbackLimiter
{
public:
	// A callback that is under way holds one.
	using Slot = std::shared_ptr<void>;

	// Nothing if there are too many.
	Slot enter(const std::string &provider)
	{
		int &of_provider = by_provider_[provider];
		if (all_ >= kMaxCallbacks || of_provider >= kMaxCallbacksOfProvider)
			return nullptr;
		all_++;
		of_provider++;
		return Slot(this, [&of_provider](CallbackLimiter *limiter) {
			limiter->all_--;
			of_provider--;
		});
	}

private:
	int all_ = 0;
	std::map<std::string, int> by_provider_; // of configured providers only
};

} // namespace sidecar::endpoints
