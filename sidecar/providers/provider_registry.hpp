// The configured providers and their endpoints. Most are fixed; the others come from the
// issuer's metadata (OpenID Connect Discovery 1.0).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/provider_client.hpp"
#include "oauth/provider.hpp"

namespace sidecar::providers
{

using Providers = std::map<std::string, oauth::Provider, std::less<>>; // by base name

// By a name with or without a label; nullptr if none is configured.
const oauth::Provider *find(const Providers &providers, std::string_view name);

class ProviderRegistry
{
public:
	// Metadata is used for `fresh`. Then it is asked for again, and still used meanwhile.
	// After `usable` it is not used any more: the provider then has no endpoints.
	struct Ages {
		std::chrono::seconds fresh{3600};
		std::chrono::seconds usable{24 * 3600};
		std::chrono::seconds retry{5}; // not more often than this after a failure
	};

	ProviderRegistry(boost::asio::any_io_executor executor, const Providers &providers,
					 client::ProviderClient &client, Ages ages);

	const oauth::Provider *find(std::string_view name) const
	{
		return providers::find(providers_, name);
	}
	const Providers &all() const noexcept { return providers_; }

	// Nothing if they cannot be read now.
	boost::asio::awaitable<std::optional<oauth::ProviderEndpoints>>
	endpoints(const oauth::Provider &provider);

	// The same without waiting: also nothing if they have not been asked for yet.
	std::optional<oauth::ProviderEndpoints> known_endpoints(const oauth::Provider &provider) const;

	// Why they could not be read the last time: a fixed text, empty if they were.
	std::string_view last_failure(const oauth::Provider &provider) const;

private:
	using Clock = std::chrono::steady_clock;
	struct Entry {
		explicit Entry(const boost::asio::any_io_executor &executor) : arrived(executor) {}
		std::optional<oauth::ProviderEndpoints> endpoints;
		Clock::time_point fetched{};
		std::optional<Clock::time_point> failed;
		std::string_view failure;
		bool under_way = false;
		boost::asio::steady_timer arrived; // cancelled when a fetch has ended
	};

	boost::asio::awaitable<void> fetch(const oauth::Provider &provider,
									   std::shared_ptr<Entry> entry);
	void fetch_in_background(const oauth::Provider &provider, const std::shared_ptr<Entry> &entry);

	boost::asio::any_io_executor executor_;
	const Providers &providers_;
	client::ProviderClient &client_;
	Ages ages_;
	std::map<std::string_view, std::shared_ptr<Entry>> entries_;
};

} // namespace sidecar::providers
