#include "database/pool.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <csignal>
#include <functional>
#include <list>

#include "address/database_address.hpp"
#include "base/event_loop.hpp"
#include "database/session.hpp"
#include "loop.hpp"
#include "server.hpp"

using common::Secret;
using sidecar::address::error_of_url;
using sidecar::database::Parameters;
using sidecar::database::Pool;
using sidecar::database::PoolLimits;
using sidecar::database::Rows;
using sidecar::database::Statement;
using sidecar::database::StoreError;
using tests::finish;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace
{

const std::string kOne = "SELECT 1";
const std::string kCopy = "COPY (SELECT 1) TO STDOUT";
const std::string kPid = "SELECT pg_catalog.pg_backend_pid()";
const std::string kSleep = "SELECT pg_catalog.pg_sleep($1::float8)";
const std::string kEcho = "SELECT $1::text, $2::text";

using Clock = std::chrono::steady_clock;

class PoolTest : public testing::Test
{
protected:
	static void SetUpTestSuite() { server = new tests::Server; }
	static void TearDownTestSuite()
	{
		delete server;
		server = nullptr;
	}
	void TearDown() override
	{
		if (!pool)
			return;
		// Nothing may keep the loop alive once the pool is closed.
		pool->close();
		io.restart();
		io.run();
		pool.reset();
	}

	void open(PoolLimits limits = {}) { pool.emplace(io.get_executor(), server->url(), limits); }

	Rows query(const std::string &sql, Parameters parameters = {})
	{
		const Statement statement(sql);
		return finish(io, pool->query(statement, std::move(parameters)));
	}
	std::string value(const std::string &sql)
	{
		const Rows rows = query(sql);
		return std::string(rows.text(0, 0));
	}
	// SQLSTATE, or "ok"; "none" where there was no answer.
	std::string state(const std::string &sql, Parameters parameters = {})
	{
		try {
			query(sql, std::move(parameters));
			return "ok";
		} catch (const StoreError &error) {
			EXPECT_EQ(error.is_transient(),
					  error.sqlstate().empty() || error.sqlstate().substr(0, 2) == "57");
			return error.sqlstate().empty() ? "none" : error.sqlstate();
		}
	}
	void sleep(std::chrono::milliseconds time) { finish(io, tests::sleep_for(time)); }
	// Serves the loop until it is so; false after many tries.
	bool comes_true(const std::function<bool()> &condition)
	{
		for (int tries = 0; tries < 500; tries++) {
			if (condition())
				return true;
			sleep(20ms);
		}
		return false;
	}
	// Process id of the session that is running a statement like this; empty: none is.
	static std::string runner_of(const std::string &like)
	{
		return server->run(
			"SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '" + like +
			"' AND pid <> pg_backend_pid()");
	}
	static void cancel_sleeps()
	{
		server->run("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE "
					"'%pg_sleep%' AND pid <> pg_backend_pid()");
	}

	static Parameters one(const std::string &text)
	{
		Parameters parameters;
		parameters.add(text);
		return parameters;
	}

	// A statement that goes on beside what the test does.
	struct Running {
		std::string outcome;
		Clock::time_point end;
	};
	static asio::awaitable<void> await(asio::awaitable<Rows> work, std::shared_ptr<Running> running)
	{
		try {
			co_await std::move(work);
			running->outcome = "ok";
		} catch (const StoreError &error) {
			running->outcome = error.sqlstate().empty() ? error.what() : error.sqlstate();
		}
		running->end = Clock::now();
	}
	std::shared_ptr<Running> spawn(const std::string &text, const std::string &parameter = {})
	{
		const Statement &statement = statements.emplace_back(text);
		auto running = std::make_shared<Running>();
		Parameters parameters;
		if (!parameter.empty())
			parameters.add(parameter);
		asio::co_spawn(io, await(pool->query(statement, std::move(parameters)), running),
					   asio::detached);
		return running;
	}
	void run_until_done(const std::vector<std::shared_ptr<Running>> &all)
	{
		for (const auto &running : all)
			while (running->outcome.empty())
				io.run_one();
	}

	static inline tests::Server *server = nullptr;
	std::list<Statement> statements; // that may still run
	sidecar::EventLoop io;
	std::optional<Pool> pool;
};

} // namespace

TEST_F(PoolTest, TakesParametersAndNulls)
{
	open();
	Parameters parameters = one("it's \\ \"ä\"");
	parameters.add(std::nullopt);
	const Rows rows = query(kEcho, std::move(parameters));
	ASSERT_EQ(rows.count(), 1);
	EXPECT_EQ(rows.text(0, 0), "it's \\ \"ä\"");
	EXPECT_TRUE(rows.is_null(0, 1));
	EXPECT_EQ(rows.optional_text(0, 1), std::nullopt);
}

TEST_F(PoolTest, TakesLargeParametersAndResults)
{
	open();
	Parameters parameters = one(std::string(3'000'000, 'x'));
	parameters.add(std::string("y"));
	const Rows rows = query(kEcho, std::move(parameters));
	EXPECT_EQ(rows.text(0, 0).size(), 3'000'000U);
}

TEST_F(PoolTest, RefusesNul)
{
	open();
	EXPECT_EQ(state(kSleep, one(std::string("1\0002", 3))), "22021");
	EXPECT_EQ(state(kOne), "ok");
	// libpq would give such a result for ever.
	EXPECT_EQ(state(kCopy), "none");
	EXPECT_EQ(state(kOne), "ok");
}

TEST_F(PoolTest, SetsItsSessionsUp)
{
	server->run("ALTER ROLE postgres SET DateStyle = German;"
				"ALTER ROLE postgres SET default_transaction_read_only = on;"
				"ALTER ROLE postgres SET default_transaction_isolation = serializable;"
				"ALTER ROLE postgres SET bytea_output = escape;"
				"ALTER ROLE postgres SET search_path = public");
	open();
	EXPECT_EQ(value("SHOW TimeZone"), "UTC");
	EXPECT_EQ(value("SHOW DateStyle"), "ISO, DMY");
	EXPECT_EQ(value("SHOW default_transaction_read_only"), "off");
	EXPECT_EQ(value("SHOW search_path"), "\"\"");
	EXPECT_EQ(value("SHOW transaction_isolation"), "read committed");
	EXPECT_EQ(value("SHOW bytea_output"), "hex");
	EXPECT_EQ(value("SHOW statement_timeout"), "5s");
	EXPECT_EQ(value("SHOW lock_timeout"), "4s");
	EXPECT_EQ(value("SHOW idle_in_transaction_session_timeout"), "10s");
	EXPECT_EQ(value("SHOW application_name"), "oauth-sidecar");
	EXPECT_EQ(value("SHOW client_encoding"), "UTF8");
	server->run("SET default_transaction_read_only = off; ALTER ROLE postgres RESET ALL");
}

TEST_F(PoolTest, PreparesOnce)
{
	open();
	for (int i = 0; i < 5; i++)
		value(kPid);
	EXPECT_EQ(value("SELECT count(*) FROM pg_catalog.pg_prepared_statements "
					"WHERE statement LIKE '%backend_pid()'"),
			  "1");
	EXPECT_EQ(pool->statistics().open, 1);
}

TEST_F(PoolTest, PreparesAnewWhatTheServerForgot)
{
	open();
	const std::string before = value(kPid);
	value("DEALLOCATE ALL");
	EXPECT_EQ(value(kPid), before);
	EXPECT_EQ(value(kPid), before);
	EXPECT_EQ(value("SELECT count(*) FROM pg_catalog.pg_prepared_statements "
					"WHERE statement LIKE '%backend_pid()'"),
			  "1");
}

TEST_F(PoolTest, PreparesAnewWhatHasAnotherShapeNow)
{
	server->run("CREATE TABLE shape (a int); INSERT INTO shape VALUES (1)");
	open();
	const std::string sql = "SELECT * FROM public.shape";
	EXPECT_EQ(value(sql), "1");
	server->run("ALTER TABLE shape ALTER a TYPE text USING a || 'x'");
	EXPECT_EQ(value(sql), "1x");
	EXPECT_EQ(value(sql), "1x");
	EXPECT_EQ(value("SELECT count(*) FROM pg_catalog.pg_prepared_statements "
					"WHERE statement LIKE '%shape' AND name LIKE '%\\_1'"),
			  "1");
	EXPECT_EQ(pool->statistics().open, 1);
}

TEST_F(PoolTest, TellsErrorsWithTheirState)
{
	open();
	EXPECT_EQ(state("SELECT 1/0"), "22012");
	EXPECT_EQ(state("SELECT * FROM nowhere"), "42P01");
	EXPECT_EQ(state("ceci n'est pas"), "42601");
	EXPECT_EQ(state(kOne), "ok");
	EXPECT_EQ(pool->statistics().open, 1);
	EXPECT_EQ(pool->statistics().busy, 0);
}

TEST_F(PoolTest, NoticesAreNeverPrinted)
{
	open();
	testing::internal::CaptureStderr();
	value("DROP TABLE IF EXISTS public.nowhere");
	query("DO $$BEGIN SET LOCAL client_min_messages = debug; RAISE WARNING 'seen'; END$$");
	EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(PoolTest, GrowsOnDemandToItsLimit)
{
	PoolLimits limits;
	limits.connections = 3;
	open(limits);
	const auto start = Clock::now();
	std::vector<std::shared_ptr<Running>> all;
	for (int i = 0; i < 6; i++)
		all.push_back(spawn(kSleep, "0.3"));
	run_until_done(all);
	for (const auto &running : all)
		EXPECT_EQ(running->outcome, "ok");
	EXPECT_GE(Clock::now() - start, 550ms); // the server takes no less
	EXPECT_EQ(pool->statistics().open, 3);
	EXPECT_EQ(pool->statistics().waiting, 0);
}

TEST_F(PoolTest, ServesInTheOrderOfArrival)
{
	PoolLimits limits;
	limits.connections = 1;
	open(limits);
	std::vector<std::shared_ptr<Running>> all;
	for (int i = 0; i < 5; i++)
		all.push_back(spawn(kSleep, "0.02"));
	run_until_done(all);
	for (int i = 1; i < 5; i++)
		EXPECT_LT(all[i - 1]->end, all[i]->end);
}

TEST_F(PoolTest, BoundsQueueAndWait)
{
	PoolLimits limits;
	limits.connections = 1;
	limits.waiting = 1;
	limits.wait = 200ms;
	limits.statement = 60s;
	open(limits);
	query(kOne);
	const auto long_one = spawn(kSleep, "50");
	const auto late = spawn(kOne);
	const auto refused = spawn(kOne);
	run_until_done({refused});
	EXPECT_EQ(refused->outcome, "too many statements wait for the database");
	EXPECT_EQ(late->outcome, "");
	run_until_done({late});
	EXPECT_EQ(late->outcome, "no connection to the database became free in time");
	EXPECT_EQ(long_one->outcome, "");
	cancel_sleeps();
	run_until_done({long_one});
	EXPECT_EQ(long_one->outcome, "57014");
	EXPECT_EQ(state(kOne), "ok");
}

TEST_F(PoolTest, ServerEndsLongStatements)
{
	PoolLimits limits;
	limits.statement = 200ms;
	open(limits);
	EXPECT_EQ(state(kSleep, one("20")), "57014");
	EXPECT_EQ(pool->statistics().open, 1);
}

TEST_F(PoolTest, GivesUpOnAServerThatHangs)
{
	PoolLimits limits;
	limits.statement = 100ms;
	open(limits);
	const pid_t backend = std::stoi(value(kPid));
	kill(backend, SIGSTOP);
	const auto start = Clock::now();
	EXPECT_EQ(state(kOne), "none");
	EXPECT_GE(Clock::now() - start, 900ms); // the server comes first
	kill(backend, SIGCONT);
	EXPECT_NE(std::stoi(value(kPid)), backend);
}

TEST_F(PoolTest, StatementThatDiesIsNotSentAgain)
{
	server->run("CREATE TABLE IF NOT EXISTS sent (a int); TRUNCATE sent; "
				"CREATE SEQUENCE IF NOT EXISTS sendings");
	open();
	const auto running =
		spawn("WITH s AS MATERIALIZED (SELECT pg_catalog.nextval('public.sendings') AS n) "
			  "SELECT pg_catalog.pg_sleep(CASE WHEN s.n > 0 THEN 5 END) FROM s");
	ASSERT_TRUE(comes_true([] { return !runner_of("%nextval%").empty(); }));
	server->run("SELECT pg_terminate_backend(" + runner_of("%nextval%") + ")");
	run_until_done({running});
	EXPECT_EQ(running->outcome, "57P01");
	EXPECT_EQ(state(kOne), "ok");
	EXPECT_EQ(server->run("SELECT last_value FROM sendings"), "1");
	EXPECT_EQ(pool->statistics().open, 1);
}

TEST_F(PoolTest, KilledBackendIsNoAnswer)
{
	open();
	const auto running = spawn("SELECT pg_catalog.pg_sleep(5), 'to be killed'");
	ASSERT_TRUE(comes_true([] { return !runner_of("%be killed''").empty(); }));
	kill(std::stoi(runner_of("%be killed''")), SIGKILL);
	run_until_done({running});
	EXPECT_EQ(running->outcome, "the connection to the database was lost");
	EXPECT_TRUE(comes_true([&] { return state(kOne) == "ok"; })); // once the server has recovered
}

TEST_F(PoolTest, StaleConnectionsAreSeenBeforeUse)
{
	open();
	const std::string before = value(kPid);
	// No turn of the loop between the server's end and the statement.
	server->run("SELECT pg_terminate_backend(" + before + ", 5000)");
	EXPECT_NE(value(kPid), before);
	EXPECT_EQ(pool->statistics().open, 1);
}

TEST_F(PoolTest, IdleConnectionsThatDieAreLetGo)
{
	open();
	const std::string before = value(kPid);
	server->run("SELECT pg_terminate_backend(" + before + ", 5000)");
	EXPECT_TRUE(comes_true([&] { return pool->statistics().open == 0; }));
	EXPECT_EQ(state(kOne), "ok");
}

TEST_F(PoolTest, OutlivesTheServer)
{
	open();
	EXPECT_EQ(state(kOne), "ok");
	testing::internal::CaptureStderr();
	server->stop(SIGINT);
	for (int i = 0; i < 20; i++) {
		const auto failed = spawn(kOne);
		run_until_done({failed});
		EXPECT_TRUE(failed->outcome.starts_with("the database cannot be reached"))
			<< failed->outcome; // and not that none became free in time
		sleep(10ms);
	}
	server->start();
	EXPECT_TRUE(comes_true([&] { return pool->statistics().open > 0; })); // by itself
	EXPECT_EQ(state(kOne), "ok");
	const std::string log = testing::internal::GetCapturedStderr();
	EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;
	EXPECT_NE(log.find("database not reachable"), log.npos);
	EXPECT_NE(log.find("database reachable again"), log.npos);

	server->stop(SIGQUIT);
	server->start();
	EXPECT_EQ(state(kOne), "ok"); // no failure where the server was back before
}

TEST_F(PoolTest, WaitersLearnThatThereIsNoServer)
{
	pool.emplace(io.get_executor(), Secret("host=/nowhere"), PoolLimits());
	testing::internal::CaptureStderr();
	std::vector<std::shared_ptr<Running>> all;
	for (int i = 0; i < 5; i++)
		all.push_back(spawn(kOne));
	run_until_done(all);
	for (const auto &running : all)
		EXPECT_TRUE(running->outcome.starts_with("the database cannot be reached: connection to "))
			<< running->outcome;
	EXPECT_NE(testing::internal::GetCapturedStderr().find("database not reachable"),
			  std::string::npos);
}

TEST_F(PoolTest, NamesTheHostThatIsNotFound)
{
	pool.emplace(io.get_executor(), Secret("host=a..b,/nowhere"), PoolLimits());
	testing::internal::CaptureStderr();
	EXPECT_EQ(state(kOne), "none");
	const std::string log = testing::internal::GetCapturedStderr();
	EXPECT_NE(log.find("could not translate host name \\\"a..b\\\""), log.npos) << log;
	EXPECT_NE(log.find("correct the host in DATABASE_URL"), log.npos) << log;
	EXPECT_NE(log.find("/nowhere"), log.npos) << log; // and the next one is tried
}

TEST_F(PoolTest, MalformedAddressIsNotQuoted)
{
	pool.emplace(io.get_executor(), Secret("postgres://u:hunter2@[::1/x"), PoolLimits());
	testing::internal::CaptureStderr();
	EXPECT_EQ(state(kOne), "none");
	const std::string log = testing::internal::GetCapturedStderr();
	EXPECT_EQ(log.find("hunter2"), log.npos) << log;
	EXPECT_NE(log.find("DATABASE_URL must"), log.npos) << log;
}

TEST_F(PoolTest, SilentServerTimesOut)
{
	// Listens, and never accepts.
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	sockaddr_in address{};
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t size = sizeof address;
	ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr *>(&address), size), 0);
	ASSERT_EQ(listen(listener, 1), 0);
	getsockname(listener, reinterpret_cast<sockaddr *>(&address), &size);
	PoolLimits limits;
	limits.connect = 1s;
	limits.wait = 60s;
	pool.emplace(
		io.get_executor(),
		Secret("postgres://u:hunter2@127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/x"),
		limits);
	testing::internal::CaptureStderr();
	EXPECT_EQ(state(kOne), "none");
	const std::string log = testing::internal::GetCapturedStderr();
	EXPECT_NE(log.find("timeout expired"), log.npos) << log;
	EXPECT_EQ(log.find("hunter2"), log.npos) << log;
	close(listener);
}

TEST_F(PoolTest, ClosingLetsWorkFinish)
{
	PoolLimits limits;
	limits.connections = 1;
	open(limits);
	query(kOne);
	const auto running = spawn(kSleep, "0.2");
	const auto waiting = spawn(kSleep, "0.1");
	sleep(50ms);
	pool->close();
	const auto refused = spawn(kOne);
	io.restart();
	io.run(); // ends: nothing is left
	EXPECT_EQ(running->outcome, "ok");
	EXPECT_EQ(waiting->outcome, "ok");
	EXPECT_EQ(refused->outcome, "the pool of connections is closed");
	EXPECT_EQ(pool->statistics().open, 0);
}

TEST_F(PoolTest, MayBeLeftBehindByTheLoop)
{
	open();
	query(kOne);
	spawn(kSleep, "5");
	spawn(kSleep, "5");
	io.run_for(50ms);
	io.end();
	pool.reset();
	cancel_sleeps();
}

TEST(DatabaseUrl, IsTakenAsLibpqTakesIt)
{
	for (const char *good :
		 {"postgres://localhost/x", "postgresql://u:p%40ss@h:5432/db?sslmode=require",
		  "postgresql://h1:1,h2:2/db", "postgresql:///db?host=/run/postgresql",
		  "host=/tmp dbname=x", "postgresql://u:a?b#c@h/db", "postgresql://[::1]:5432/db"})
		EXPECT_EQ(error_of_url(Secret(good)), std::nullopt) << good;
	for (const char *bad :
		 {"", "x", "mysql://h/d", "postgres://u:hunter2@[::1/x", "postgres://u:hun%ter2@h/x",
		  "postgres://u:hunter2@ss@h/d", "postgres://u:hunter2/ss@h/d",
		  "postgres://u:12/hunter2@h/d", "password=a hunter2", "passwort=hunter2"}) {
		const auto fault = error_of_url(Secret(bad));
		ASSERT_NE(fault, std::nullopt) << bad;
		EXPECT_EQ(fault->find("hunter2"), fault->npos) << bad;
		EXPECT_EQ(fault->find("ss@"), fault->npos) << bad;
	}
}
