// What is said first on a new connection: who we are, and who is there.
#pragma once

#include <string>
#include <vector>

#include "address/redis_address.hpp"
#include "redis/command.hpp"
#include "redis/reply.hpp"
#include "redis/server_info.hpp"

namespace sidecar::redis
{

Command auth_command(const RedisAddress &endpoint);

// AUTH where there is somebody to be, SELECT, CLIENT SETNAME, PING, INFO.
std::vector<Command> greeting(const RedisAddress &endpoint, const std::string &name);

// Takes the replies to all that. Throws Error where this Redis will not have us,
// or we cannot use it.
ServerInfo check_greeting(const RedisAddress &endpoint, const std::vector<Reply> &replies);

} // namespace sidecar::redis
