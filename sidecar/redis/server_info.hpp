// The server at the other end of a connection, from INFO.
#pragma once

#include <string>
#include <string_view>

namespace sidecar::redis
{

struct ServerInfo {
	std::string run_id; // 40 hexadecimal digits, new with each start
	std::string version;
	bool is_cluster = false;
	bool is_replica = false;
	bool is_sentinel = false;
};

// The value of a line "name:value" of INFO; empty if it is not there.
std::string_view info_value(std::string_view info, std::string_view name) noexcept;

// From the texts of INFO server and INFO replication, or of both in one.
ServerInfo parse_server_info(std::string_view info);

// Why it cannot be used, or nothing: a node of a cluster (our scripts touch
// several keys), a sentinel, a replica, or one older than 6.2 (no PXAT).
std::string_view fault_of(const ServerInfo &server) noexcept;

} // namespace sidecar::redis
