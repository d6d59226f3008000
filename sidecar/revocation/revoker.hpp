// Revokes deleted grants at their providers, in the background
// (docs/design/refresh.md, "Revocation"). The database gives each to one daemon at a time, and
// keeps those that have to be tried again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.hpp"
#include "client/provider_client.hpp"
#include "database/refusal_log.hpp"
#include "database/revocations.hpp"
#include "oauth/revocation.hpp"
#include "providers/provider_registry.hpp"

namespace sidecar::revocation
{

struct Surroundings {
	database::Revocations &store;
	client::ProviderClient &client;
	providers::ProviderRegistry &registry;
	Metrics &metrics;
	std::function<long long()> now; // milliseconds since 1970 UTC
	std::chrono::seconds provider_timeout;
};

class Revoker
{
public:
	Revoker(boost::asio::any_io_executor executor, Surroundings surroundings);

	void start();
	// Call it when there may be something to do.
	void wake();
	// Begins no more. What is under way goes to another daemon after its lease.
	void close();
	// How many waited at the last check. Nothing: it was not checked yet.
	std::optional<std::int64_t> waiting() const noexcept { return waiting_; }

private:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;
	using Clock = std::chrono::steady_clock;

	// The outcome of an attempt.
	struct Outcome {
		std::string_view name; // for log and metrics; empty: it is to be tried again
		std::string_view reason;
		oauth::ProviderWords words;
		std::string detail; // for the database, if it is tried again
		std::optional<std::chrono::seconds> retry_after;
	};

	Awaitable<void> run();
	Awaitable<std::chrono::milliseconds> look();
	Awaitable<void> count();
	Awaitable<void> pause(std::chrono::milliseconds duration);
	void begin(database::ClaimedRevocation claimed);
	Awaitable<void> revoke(database::ClaimedRevocation claimed);
	Awaitable<Outcome> attempt(const database::ClaimedRevocation &claimed);
	Awaitable<Outcome> ask(const oauth::Provider &provider,
						   const oauth::ProviderEndpoints &endpoints,
						   const database::ClaimedRevocation &claimed);
	Awaitable<oauth::RevocationAnswer> send(const oauth::Provider &provider,
											const oauth::ProviderEndpoints &endpoints,
											const common::Secret &token, oauth::TokenHint hint);
	Awaitable<void> record(const database::ClaimedRevocation &claimed, Outcome outcome);
	std::vector<std::string> free_providers() const;
	int under_way_at(std::string_view provider) const;
	std::string label_of(std::string_view provider) const;
	void log_failure(const database::StoreError &error);

	boost::asio::any_io_executor executor_;
	Surroundings in_;
	boost::asio::steady_timer timer_;
	bool is_awake_ = false;
	bool is_closed_ = false;
	int under_way_ = 0;
	std::map<std::string, int, std::less<>> under_way_at_; // by provider without label
	std::optional<std::int64_t> waiting_;
	Clock::time_point counted_{};
	database::RefusalLog refusals_;
};

} // namespace sidecar::revocation
