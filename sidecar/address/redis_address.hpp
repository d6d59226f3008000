// REDIS_URL, parsed: the server and our user there. Without I/O.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::address
{

struct HostPort {
	std::string host; // a name, or an IP address without brackets
	unsigned short port = 0;

	bool operator==(const HostPort &) const = default;
};

struct RedisAddress {
	std::vector<HostPort> hosts; // one; of sentinels, one or several
	std::string unix_path;       // instead of hosts
	bool tls = false;
	std::string user; // with neither user nor password: no AUTH
	common::Secret password;
	int database = 0;
	std::string sentinel_master; // what the sentinels call it; then `hosts` are sentinels

	RedisAddress clone() const;
};

// The address, or what is wrong with the URL, to follow "REDIS_URL …". The text contains no
// part of the URL.
using ParsedRedisAddress = std::variant<RedisAddress, std::string_view>;

// redis://[user[:password]@]host[:port][,host[:port]…][/database][?master=NAME],
// the same with rediss:// for TLS, or unix://[user[:password]@]/path; ?db=N also
// names the database. User, password, path and NAME are percent-decoded; an IPv6
// address is in brackets. Several hosts are sentinels.
ParsedRedisAddress parse_redis_address(std::string_view url);

} // namespace sidecar::address
