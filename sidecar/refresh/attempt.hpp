// One refresh that oauth_refresh_begin() has granted, from the room in the spool to the
// commit (docs/design/refresh.md, "Spool").
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "oauth/refresh_failure.hpp"
#include "oauth/stored_grant.hpp"
#include "refresh/outcome.hpp"
#include "refresh/refresh_context.hpp"
#include "refresh/replayer.hpp"

namespace sidecar::refresh
{

class Attempt
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;

	// `asked`: by boot_time(), before oauth_refresh_begin() was called.
	Attempt(const RefreshContext &context, Replayer &replayer, const oauth::Provider &provider,
			const oauth::ProviderEndpoints &endpoints, const oauth::Identity &identity,
			database::BegunRefresh begun, std::chrono::nanoseconds asked);

	// Call it once. Throws no error of the spool, the database or the provider.
	Awaitable<Outcome> run();

	// Whether there was no room for an answer: the provider was not called.
	bool lacked_spool() const noexcept { return lacked_spool_; }

private:
	// What the log says at the end.
	struct End {
		std::string_view outcome;
		std::string_view reason;
		oauth::ProviderWords words;
	};

	Awaitable<bool> reserve();
	Awaitable<oauth::ProviderAnswer> call();
	Awaitable<Outcome> refuse(std::string_view outcome, std::string_view reason);
	Awaitable<Outcome> failed(const oauth::ProviderAnswer &answer, const oauth::NoGrant &no_grant);
	Awaitable<std::string> tell(oauth::FailureKind kind, const std::string &detail,
								std::optional<std::chrono::seconds> retry_after);
	Awaitable<Outcome> keep(const oauth::Grant &grant);
	Awaitable<bool> write(const oauth::Grant &grant, long long answered);
	Awaitable<Outcome> commit(const oauth::Grant &grant);
	Awaitable<std::optional<database::RefreshEnd>> try_commit(const oauth::Grant &grant);
	Awaitable<std::optional<database::RefreshEnd>> try_replay();
	Awaitable<void> remove();
	void log_end(const End &end) const;

	const RefreshContext &context_;
	Replayer &replayer_;
	const oauth::Provider &provider_;
	const oauth::ProviderEndpoints &endpoints_;
	const oauth::Identity identity_;
	database::BegunRefresh begun_;
	const oauth::StoredGrant stored_;
	const std::chrono::nanoseconds lease_end_; // by boot_time()
	std::shared_ptr<spool::Reservation> reservation_;
	std::optional<spool::Seal> seal_;
	spool::Entry entry_;
	std::string file_; // the answer's name; empty: it is not in the spool
	bool lacked_spool_ = false;
};

} // namespace sidecar::refresh
