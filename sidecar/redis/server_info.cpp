#include "redis/server_info.hpp"

#include <charconv>

namespace sidecar::redis
{

namespace
{

bool is_older(std::string_view version, int major, int minor) noexcept
{
	int numbers[2] = {0, 0};
	const char *const end = version.data() + version.size();
	const auto first = std::from_chars(version.data(), end, numbers[0]);
	if (first.ptr != end && *first.ptr == '.')
		std::from_chars(first.ptr + 1, end, numbers[1]);
	return numbers[0] != major ? numbers[0] < major : numbers[1] < minor;
}

} // namespace

std::string_view info_value(std::string_view info, std::string_view name) noexcept
{
	while (!info.empty()) {
		const std::size_t end = info.find('\n');
		std::string_view line = info.substr(0, end);
		info.remove_prefix(end == info.npos ? info.size() : end + 1);
		if (line.ends_with('\r'))
			line.remove_suffix(1);
		if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
			return line.substr(name.size() + 1);
	}
	return {};
}

ServerInfo parse_server_info(std::string_view info)
{
	const std::string_view mode = info_value(info, "redis_mode");
	ServerInfo server;
	server.run_id = info_value(info, "run_id");
	server.version = info_value(info, "redis_version");
	server.is_cluster = mode == "cluster";
	server.is_sentinel = mode == "sentinel";
	server.is_replica = info_value(info, "role") == "slave";
	return server;
}

std::string_view fault_of(const ServerInfo &server) noexcept
{
	if (server.is_cluster)
		return "is a Redis Cluster node; use a single primary";
	if (server.is_sentinel)
		return "is a Redis Sentinel; add ?master=NAME to the URL";
	if (server.run_id.empty() || server.version.empty())
		return "does not say its run_id and redis_version in INFO";
	if (is_older(server.version, 6, 2))
		return "is older than Redis 6.2";
	if (server.is_replica)
		return "is a replica, not a primary";
	return {};
}

} // namespace sidecar::redis
