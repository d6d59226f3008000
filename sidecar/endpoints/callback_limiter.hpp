// Limits how many callbacks are under way: to what the provider client can send, so that the
// code of a claimed attempt is also redeemed; and for one provider to fewer, so that a slow
// one leaves room for the others.
#pragma once

#include <map>
#include <string>
#include <utility>

namespace sidecar::endpoints
{

inline constexpr int kMaxCallbacks = 200;
inline constexpr int kMaxCallbacksOfProvider = 100;

class CallbackLimiter
{
public:
	// One permit. Its destructor gives it back. False: there was none.
	class Slot
	{
	public:
		Slot() = default;
		Slot(CallbackLimiter &of, const std::string &provider)
			: callback_limiter_(&of), provider_(provider)
		{
		}
		Slot(Slot &&other) noexcept
			: callback_limiter_(std::exchange(other.callback_limiter_, nullptr)),
			  provider_(std::move(other.provider_))
		{
		}
		Slot &operator=(Slot &&) = delete;
		~Slot()
		{
			if (callback_limiter_ != nullptr)
				callback_limiter_->leave(provider_);
		}
		explicit operator bool() const noexcept { return callback_limiter_ != nullptr; }

	private:
		CallbackLimiter *callback_limiter_ = nullptr;
		std::string provider_;
	};

	Slot enter(const std::string &provider)
	{
		int &of_provider = by_provider_[provider];
		if (all_ >= kMaxCallbacks || of_provider >= kMaxCallbacksOfProvider)
			return Slot();
		all_++;
		of_provider++;
		return Slot(*this, provider);
	}

private:
	void leave(const std::string &provider) noexcept
	{
		all_--;
		by_provider_.find(provider)->second--;
	}

	int all_ = 0;
	std::map<std::string, int> by_provider_; // of configured providers only
};

} // namespace sidecar::endpoints
