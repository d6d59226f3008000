// How many callbacks may be under way: as many as the provider client takes, so
// that a code which is consumed is also redeemed; and of one provider fewer, so
// that a slow one leaves room for the others.
#pragma once

#include <map>
#include <string>
#include <utility>

namespace sidecar::endpoints
{

inline constexpr int kMaxCallbacks = 200;
inline constexpr int kMaxCallbacksOfProvider = 100;

class Admission
{
public:
	// One place among them, given back when it dies. False: there is none.
	class Place
	{
	public:
		Place() = default;
		Place(Admission &of, const std::string &provider) : admission_(&of), provider_(provider) {}
		Place(Place &&other) noexcept
			: admission_(std::exchange(other.admission_, nullptr)),
			  provider_(std::move(other.provider_))
		{
		}
		Place &operator=(Place &&) = delete;
		~Place()
		{
			if (admission_ != nullptr)
				admission_->leave(provider_);
		}
		explicit operator bool() const noexcept { return admission_ != nullptr; }

	private:
		Admission *admission_ = nullptr;
		std::string provider_;
	};

	Place enter(const std::string &provider)
	{
		int &of_provider = by_provider_[provider];
		if (all_ >= kMaxCallbacks || of_provider >= kMaxCallbacksOfProvider)
			return Place();
		all_++;
		of_provider++;
		return Place(*this, provider);
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
