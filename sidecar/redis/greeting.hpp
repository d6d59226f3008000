// What is said first on a new connection: who we are, and who is there.
#pragma once

#include <string>
#include <vector>

#include "redis/command.hpp"
#include "address/redis_address.hpp"
#include "redis/reply.hpp"
#include "redis/server_info.hpp"

namespace sidecar::redis
{

Command auth_command(const Endpoint &endpoint);

// AUTH where there is somebody to be, SELECT, CLIENT SETNAME, PING, INFO.
std::vector<Command> greeting(const Endpoint &endpoint, const std::string &name);

// Takes the replies to all that. Throws Error where this Redis will not have us,
// or we cannot use it.
ServerInfo judge_greeting(const Endpoint &endpoint, const std::vector<Reply> &replies);

} // namespace sidecar::redis
