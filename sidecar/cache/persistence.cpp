#include "cache/persistence.hpp"

#include "base/log.hpp"
#include "cache/epoch_keeper.hpp"
#include "redis/server_info.hpp"

namespace sidecar::cache
{

namespace asio = boost::asio;

namespace
{

constexpr std::chrono::minutes kBetweenLooks{1};

} // namespace

asio::awaitable<std::string> persistence_of(redis::Client &connection)
{
	std::vector<redis::Command> questions;
	questions.push_back(redis::Command{"INFO", "persistence"});
	questions.push_back(redis::Command{"INFO", "replication"});
	questions.push_back(redis::Command{"CONFIG", "GET", "save"});
	const std::vector<redis::Reply> answers = co_await connection.run(std::move(questions));
	for (int i : {0, 1})
		if (answers[i].is_error())
			throw redis::Error::refused(answers[i].error_code());
	const std::string_view replicas = redis::info_value(answers[1].text(), "connected_slaves");
	if (redis::info_value(answers[0].text(), "aof_enabled") == "1")
		co_return "writes an append-only file";
	if (!replicas.empty() && replicas != "0")
		co_return "has replicas";
	// A managed Redis may not let us read the configuration.
	if (answers[2].is_error() || answers[2].size() != 2)
		co_return "does not say whether it saves snapshots (CONFIG GET is refused)";
	co_return answers[2][1].text().empty() ? "" : "saves snapshots to disk";
}

asio::awaitable<void> Persistence::look(redis::Client &connection)
{
	next_ = Clock::now() + kBetweenLooks;
	if (ephemeral_.sealed)
		co_return;
	const std::string how = co_await persistence_of(connection);
	if (!how.empty() && ephemeral_.required)
		throw Refused("this Redis " + how +
					  ", and OAUTH_CACHE_REQUIRE_EPHEMERAL is on; switch that "
					  "off in Redis, or set OAUTH_CACHE_KEY");
	if (!how.empty() && how != told_)
		log::warning(
			"tokens in this Redis may outlive it; set OAUTH_CACHE_KEY, or switch that off in Redis",
			{{"reason", std::string_view(how)}});
	told_ = how;
}

} // namespace sidecar::cache
