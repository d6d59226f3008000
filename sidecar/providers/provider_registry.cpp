#include "providers/provider_registry.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"
#include "base/task.hpp"
#include "common/provider_name.hpp"
#include "oauth/metadata.hpp"

namespace asio = boost::asio;

namespace sidecar::providers
{

const oauth::Provider *find(const Providers &providers, std::string_view name)
{
	if (!common::is_provider_name(name))
		return nullptr;
	const auto found = providers.find(common::provider_base(name));
	return found == providers.end() ? nullptr : &found->second;
}

ProviderRegistry::ProviderRegistry(asio::any_io_executor executor, const Providers &providers,
								   client::ProviderClient &client, Ages ages)
	: executor_(std::move(executor)), providers_(providers), client_(client), ages_(ages)
{
	for (const auto &[name, provider] : providers_)
		if (provider.discovers)
			entries_.emplace(name, std::make_shared<Entry>(executor_));
}

asio::awaitable<void> ProviderRegistry::fetch(const oauth::Provider &provider,
											  std::shared_ptr<Entry> entry)
{
	oauth::ProviderRequest request;
	request.kind = oauth::ProviderRequest::Kind::metadata;
	request.url = oauth::metadata_address(provider.endpoints.issuer);
	const oauth::ProviderAnswer answer = co_await client_.send(std::move(request));
	auto read = oauth::read_metadata(provider, answer);
	entry->under_way = false;
	if (auto *endpoints = std::get_if<oauth::ProviderEndpoints>(&read)) {
		entry->endpoints = std::move(*endpoints);
		entry->fetched = Clock::now();
		entry->failed.reset();
		entry->failure = {};
	} else {
		entry->failed = Clock::now();
		entry->failure = std::get<std::string_view>(read);
		log::warning("a provider's metadata cannot be used",
					 {{"provider", std::string_view(provider.name)}, {"reason", entry->failure}});
	}
	entry->arrived.cancel();
}

void ProviderRegistry::fetch_in_background(const oauth::Provider &provider,
										   const std::shared_ptr<Entry> &entry)
{
	if (entry->under_way || (entry->failed && Clock::now() - *entry->failed < ages_.retry))
		return;
	entry->under_way = true;
	entry->arrived.expires_at(Clock::time_point::max());
	start_task(executor_, "metadata of a provider", fetch(provider, entry));
}

asio::awaitable<std::optional<oauth::ProviderEndpoints>>
ProviderRegistry::endpoints(const oauth::Provider &provider)
{
	if (!provider.discovers)
		co_return provider.endpoints;
	const std::shared_ptr<Entry> entry = entries_.at(provider.name);
	const auto age = Clock::now() - entry->fetched;
	if (age > ages_.usable)
		entry->endpoints.reset();
	if (!entry->endpoints || age > ages_.fresh)
		fetch_in_background(provider, entry);
	while (!entry->endpoints && entry->under_way) {
		boost::system::error_code cancelled;
		co_await entry->arrived.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
	}
	co_return entry->endpoints;
}

std::optional<oauth::ProviderEndpoints>
ProviderRegistry::known_endpoints(const oauth::Provider &provider) const
{
	const auto found = entries_.find(provider.name);
	return found == entries_.end() ? provider.endpoints : found->second->endpoints;
}

std::string_view ProviderRegistry::last_failure(const oauth::Provider &provider) const
{
	const auto found = entries_.find(provider.name);
	return found == entries_.end() ? std::string_view() : found->second->failure;
}

} // namespace sidecar::providers
