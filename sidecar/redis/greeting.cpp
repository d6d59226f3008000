#include "redis/greeting.hpp"

#include "redis/error.hpp"

namespace sidecar::redis
{

namespace
{

bool has_user(const address::RedisAddress &endpoint) noexcept
{
	return !endpoint.user.empty() || !endpoint.password.empty();
}

// Redis' own text may quote what it was sent.
void require(const Reply &reply, const std::string &what, Reply::Kind kind)
{
	if (reply.is_error())
		throw Error::unavailable("Redis refused " + what + ": " + std::string(reply.error_code()));
	if (reply.kind() != kind)
		throw Error::unavailable("the server's answer to " + what + " is not that of Redis");
}

} // namespace

Command auth_command(const address::RedisAddress &endpoint)
{
	Command command{"AUTH"};
	if (!endpoint.user.empty())
		command.add(endpoint.user);
	command.add(endpoint.password);
	return command;
}

std::vector<Command> greeting(const address::RedisAddress &endpoint, const std::string &name)
{
	std::vector<Command> commands;
	if (has_user(endpoint))
		commands.push_back(auth_command(endpoint));
	if (endpoint.database != 0) {
		Command &select = commands.emplace_back();
		select.add("SELECT").add(endpoint.database);
	}
	commands.push_back({"CLIENT", "SETNAME", name});
	commands.push_back({"PING"});
	commands.push_back({"INFO", "server"});
	commands.push_back({"INFO", "replication"});
	return commands;
}

ServerInfo check_greeting(const address::RedisAddress &endpoint, const std::vector<Reply> &replies)
{
	std::size_t next = 0;
	if (has_user(endpoint))
		require(replies[next++], "AUTH", Reply::Kind::status);
	// INFO shows whether it is a cluster, which knows no SELECT; so SELECT is checked last.
	const std::size_t select = endpoint.database != 0 ? next++ : replies.size();
	next++; // its answer to our name does not matter
	// The user may not be allowed to PING. It is there for LOADING and the like.
	const Reply &pong = replies[next++];
	if (pong.error_code() != "NOPERM")
		require(pong, "PING", Reply::Kind::status);
	require(replies[next], "INFO", Reply::Kind::text);
	require(replies[next + 1], "INFO", Reply::Kind::text);
	ServerInfo server = parse_server_info(std::string(replies[next].text()) + '\n' +
										  std::string(replies[next + 1].text()));
	if (const std::string_view fault = fault_of(server); !fault.empty())
		throw Error::unavailable("the server " + std::string(fault));
	if (select < replies.size())
		require(replies[select], "SELECT", Reply::Kind::status);
	return server;
}

} // namespace sidecar::redis
