// The first commands on a new connection: log-in, and questions about the server.
#pragma once

#include <string>
#include <vector>

#include "address/redis_address.hpp"
#include "redis/command.hpp"
#include "redis/reply.hpp"
#include "redis/server_info.hpp"

namespace sidecar::redis
{

Command auth_command(const address::RedisAddress &endpoint);

// AUTH if there is a user or password, SELECT, CLIENT SETNAME, PING, INFO.
std::vector<Command> greeting(const address::RedisAddress &endpoint, const std::string &name);

// Reads the replies to these. Throws Error if this Redis refuses us, or we cannot use it.
ServerInfo check_greeting(const address::RedisAddress &endpoint, const std::vector<Reply> &replies);

} // namespace sidecar::redis
