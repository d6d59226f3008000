#include "cache/service.hpp"

#include "base/task.hpp"
#include "common/digest.hpp"

namespace sidecar::cache
{

namespace
{

// A reader asks the database instead of waiting longer.
constexpr std::chrono::milliseconds kReadTime{100};
// One command evicts many entries.
constexpr std::chrono::milliseconds kDropTime{2000};
constexpr std::size_t kFormBytes = 8; // of a digest

redis::Limits limits_of(std::chrono::milliseconds command)
{
	redis::Limits limits;
	limits.command = command;
	return limits;
}

address::RedisAddress endpoint_of(const settings::Settings &settings)
{
	return std::get<address::RedisAddress>(
		address::parse_redis_address(settings.redis_url.reveal()));
}

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

} // namespace

Service::Service(boost::asio::any_io_executor executor, const settings::Settings &settings,
				 Metrics &metrics)
	: executor_(executor), keys_(settings.cache.key_template, settings.cache.prefix),
	  reading_(executor, endpoint_of(settings), limits_of(kReadTime), settings.ca_file,
			   "oauth-sidecar"),
	  dropping_(executor, endpoint_of(settings), limits_of(kDropTime), settings.ca_file,
				"oauth-sidecar-invalidator"),
	  pool_(executor, settings.database_url.clone(), one_connection()), invalidations_(pool_),
	  tokens_(executor, reading_, keys_, coherence_, changes_, settings.cache, metrics),
	  invalidator_(executor, invalidations_, dropping_, reading_, keys_, home_of(settings),
				   {settings.cache.require_ephemeral, !settings.cache.key.empty()}, coherence_,
				   changes_, metrics)
{
}

void Service::start()
{
	reading_.start();
	dropping_.start();
	start_task(executor_, "invalidator", invalidator_.run());
}

void Service::close()
{
	reading_.close();
	dropping_.close();
	pool_.close();
}

} // namespace sidecar::cache
