#include "cache/service.hpp"

#include <boost/asio/post.hpp>

#include "base/call_on.hpp"
#include "base/task.hpp"
#include "cache/redis_address.hpp"
#include "common/digest.hpp"

namespace sidecar::cache
{

namespace
{

// One command evicts many entries.
constexpr std::chrono::milliseconds kDropTime{2000};
constexpr std::size_t kFormBytes = 8; // of a digest

// Batches run one after the other, on one connection.
database::PoolLimits one_connection()
{
	database::PoolLimits limits;
	limits.connections = 1;
	return limits;
}

// A daemon that names or seals entries differently would not evict ours. So it has another
// cache.
std::string home_of(const settings::Settings &settings)
{
	common::Secret form(settings.cache.key_template);
	form.append("\n");
	form.append(settings.cache.key.reveal());
	// Versions before this one acknowledge invalidations that other daemons have not seen.
	if (!settings.cache.key.empty())
		form.append("\nfill");
	const common::Digest digest = common::sha256(form.reveal());
	const std::string_view bytes(reinterpret_cast<const char *>(digest.data()), kFormBytes);
	return std::to_string(endpoint_of(settings).database) + "/" + settings.cache.prefix + "/" +
		   common::hex(bytes);
}

std::vector<std::unique_ptr<Reader>>
make_readers(const std::vector<boost::asio::any_io_executor> &executors,
			 const settings::Settings &settings, const cache_entry::Keys &keys,
			 const ChangeMemory &changes, const std::shared_ptr<Outage> &outage, Metrics &metrics)
{
	std::vector<std::unique_ptr<Reader>> readers;
	for (const boost::asio::any_io_executor &executor : executors) {
		const std::string name = "oauth-sidecar-thread-" + std::to_string(readers.size() + 1);
		readers.push_back(
			std::make_unique<Reader>(executor, name, settings, keys, changes, outage, metrics));
	}
	return readers;
}

} // namespace

Service::Service(const std::vector<boost::asio::any_io_executor> &executors,
				 const settings::Settings &settings, Metrics &metrics)
	: executor_(executors.front()), keys_(settings.cache.key_template, settings.cache.prefix),
	  dropping_(executor_, endpoint_of(settings), limits_of(kDropTime), settings.ca_file,
				"oauth-sidecar-invalidator", outage_),
	  pool_(executor_, settings.database_url.clone(), one_connection()), invalidations_(pool_),
	  readers_(make_readers(executors, settings, keys_, changes_, outage_, metrics)),
	  invalidator_(executor_, invalidations_, dropping_, readers_.front()->connection(), keys_,
				   home_of(settings),
				   {settings.cache.require_ephemeral, !settings.cache.key.empty()},
				   readers_.front()->coherence(), changes_, metrics)
{
	readers_.front()->coherence().changed = [this] { tell_others(); };
	readers_.front()->tokens().evict_elsewhere = [this](const oauth::Identity &identity) {
		return evict_by_others(identity);
	};
}

// On their own loops. Until they hear it, they are like another daemon's readers, whose
// invalidator has not noticed yet.
void Service::tell_others()
{
	const auto &known = readers_.front()->coherence().known;
	for (std::size_t i = 1; i < readers_.size(); i++)
		boost::asio::post(readers_[i]->executor(),
						  [reader = readers_[i].get(), known] { reader->follow(known); });
}

// If none can reach Redis, none reads from it.
boost::asio::awaitable<void> Service::evict_by_others(const oauth::Identity &identity)
{
	for (std::size_t i = 1; i < readers_.size(); i++) {
		Reader &reader = *readers_[i];
		auto evict = [&reader, &identity] { return reader.tokens().try_to_evict(identity); };
		const bool is_evicted = co_await call_on(reader.executor(), std::move(evict));
		if (is_evicted)
			co_return;
	}
}

void Service::start()
{
	for (const auto &reader : readers_)
		reader->start();
	dropping_.start();
	start_task(executor_, "invalidator", invalidator_.run());
}

void Service::close()
{
	readers_.front()->close();
	dropping_.close();
	pool_.close();
}

} // namespace sidecar::cache
