#include "cache/reader.hpp"

#include "cache/redis_address.hpp"

namespace sidecar::cache
{

namespace
{

// A reader asks the database instead of waiting longer.
constexpr std::chrono::milliseconds kReadTime{100};

} // namespace

Reader::Reader(boost::asio::any_io_executor executor, const std::string &name,
			   const settings::Settings &settings, const cache_entry::Keys &keys,
			   const ChangeMemory &changes, std::shared_ptr<Outage> outage, Metrics &metrics)
	: executor_(executor), connection_(executor, endpoint_of(settings), limits_of(kReadTime),
									   settings.ca_file, name, std::move(outage)),
	  tokens_(executor, connection_, keys, coherence_, changes, settings.cache, metrics)
{
}

// A copy, so that shards do not count references to one object. It stays the same as long as the
// epoch does: a fill asks whether it is.
void Reader::follow(const std::shared_ptr<const Coherence::Known> &known)
{
	if (!known)
		coherence_.known.reset();
	else if (!coherence_.known || coherence_.known->text != known->text)
		coherence_.known = std::make_shared<const Coherence::Known>(known->epoch);
	// The connection may be to a Redis that is no longer the cache.
	if (const redis::ServerInfo *server = connection_.server();
		known && server != nullptr && server->run_id != known->epoch.run_id)
		connection_.drop();
}

} // namespace sidecar::cache
