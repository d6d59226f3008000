#include "cache/persistence.hpp"

#include "cache/epoch_keeper.hpp"
#include "log.hpp"

namespace sidecar::cache
{

namespace asio = boost::asio;

namespace
{

// The value of a line "name:value" of INFO; empty where it is not there.
std::string_view field(std::string_view info, std::string_view name)
{
	for (std::size_t at = info.find(name); at != info.npos; at = info.find(name, at + 1)) {
		const std::size_t colon = at + name.size();
		const bool begins_line = at == 0 || info[at - 1] == '\n';
		if (begins_line && colon < info.size() && info[colon] == ':')
			return info.substr(colon + 1, info.find_first_of("\r\n", colon) - colon - 1);
	}
	return {};
}

// Managed ones do not let everybody read the configuration; then a snapshot that
// was ever taken tells.
bool takes_snapshots(const redis::Reply &configured, std::string_view info)
{
	if (!configured.is_error() && configured.size() == 2)
		return !configured[1].text().empty();
	return field(info, "rdb_saves") != "" && field(info, "rdb_saves") != "0";
}

} // namespace

asio::awaitable<std::string> persistence_of(redis::Connection &connection)
{
	std::vector<redis::Command> questions;
	questions.push_back(redis::Command{"INFO", "persistence"});
	questions.push_back(redis::Command{"INFO", "replication"});
	questions.push_back(redis::Command{"CONFIG", "GET", "save"});
	const std::vector<redis::Reply> answers = co_await connection.run(std::move(questions));
	for (int i : {0, 1})
		if (answers[i].is_error())
			throw redis::Error::refused(answers[i].error_code());
	const std::string_view replicas = field(answers[1].text(), "connected_slaves");
	if (field(answers[0].text(), "aof_enabled") == "1")
		co_return "writes an append-only file";
	if (takes_snapshots(answers[2], answers[0].text()))
		co_return "saves snapshots to disk";
	if (!replicas.empty() && replicas != "0")
		co_return "has replicas";
	co_return "";
}

asio::awaitable<void> check_persistence(redis::Connection &connection, Ephemeral ephemeral)
{
	if (ephemeral.sealed)
		co_return;
	const std::string how = co_await persistence_of(connection);
	if (how.empty())
		co_return;
	if (ephemeral.required)
		throw Refused("this Redis " + how +
					  ", and OAUTH_CACHE_REQUIRE_EPHEMERAL is on; switch that "
					  "off in Redis, or set OAUTH_CACHE_KEY");
	log::warning(
		"tokens in this Redis outlive it; set OAUTH_CACHE_KEY, or switch that off in Redis",
		{{"reason", std::string_view(how)}});
}

} // namespace sidecar::cache
