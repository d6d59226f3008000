#include <gtest/gtest.h>

#include "loading.hpp"

namespace
{

std::string url_of(const std::string &given)
{
	const Loaded loaded = load_environment({{"DATABASE_URL", given}});
	EXPECT_TRUE(has_no_error(loaded)) << given;
	return std::string(loaded.settings.database_url.reveal());
}

testing::AssertionResult refuses(const std::string &given, std::string_view part)
{
	return has_error(load_environment({{"DATABASE_URL", given}}), "DATABASE_URL", part);
}

} // namespace

TEST(DatabaseUrl, SchemesOfDrivers)
{
	for (const char *scheme : {"postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg",
							   "postgresql+psycopg2", "postgresql+pg8000", "postgres+asyncpg",
							   "jdbc:postgresql", "JDBC:PostgreSQL", "PostgreSQL"})
		EXPECT_EQ(url_of(std::string(scheme) + "://u:p@h:5432/d"), "postgresql://u:p@h:5432/d");
	EXPECT_EQ(url_of("jdbc:postgresql://h/d?user=u&password=p"),
			  "postgresql://h/d?user=u&password=p");
	EXPECT_TRUE(refuses("mysql+asyncpg://h/d", "postgresql://"));
	EXPECT_TRUE(refuses("jdbc:mysql://h/d", "postgresql://"));
}

TEST(DatabaseUrl, SslOfDriversIsSslmode)
{
	const char *const cases[][2] = {
		{"require", "require"},   {"verify-full", "verify-full"},
		{"prefer", "prefer"},     {"disable", "disable"},
		{"true", "require"},      {"True", "require"},
		{"no-verify", "require"}, {"false", "disable"},
	};
	for (const auto &[ssl, mode] : cases)
		EXPECT_EQ(url_of(std::string("postgresql+asyncpg://h/d?ssl=") + ssl + "&user=u"),
				  std::string("postgresql://h/d?sslmode=") + mode + "&user=u");
	EXPECT_TRUE(refuses("postgresql://u:hunter2@h/d?ssl=perhaps", "the parameter ssl"));
	EXPECT_TRUE(refuses("postgresql://h/d?ssl=require&sslmode=disable", "two things of sslmode"));
	EXPECT_TRUE(refuses("host=h ssl=require", "write sslmode"));
}

TEST(DatabaseUrl, ParametersAboutOtherClientsAreIgnored)
{
	for (const char *name :
		 {"pgbouncer=true", "prepared_statement_cache_size=0", "statement_cache_size=0",
		  "connection_limit=5", "pool_timeout=10", "prepareThreshold=0", "ApplicationName=x",
		  "pool_size=3", "command_timeout=3", "uselibpqcompat=true"}) {
		const Loaded loaded = load_environment(
			{{"DATABASE_URL", std::string("postgresql://h/d?") + name + "&application_name=me"}});
		ASSERT_TRUE(has_no_error(loaded)) << name;
		EXPECT_EQ(loaded.settings.database_url.reveal(), "postgresql://h/d?application_name=me");
		const std::string_view text(name);
		EXPECT_TRUE(has_warning(loaded, "DATABASE_URL: the parameter " +
											std::string(text.substr(0, text.find('=')))));
	}
}

// A message for each, which names it and never a value.
TEST(DatabaseUrl, WhatIsRefusedIsNamed)
{
	const char *const cases[][2] = {
		{"postgresql://u:hunter2@h/d?schema=hunter2", "parameter schema in it is not PostgreSQL's"},
		{"postgresql://u:hunter2@h/d?currentSchema=x", "parameter currentSchema"},
		{"postgresql://u:hunter2@h/d?search_path=x", "parameter search_path"},
		{"postgresql://u:hunter2@h/d?targetServerType=primary", "target_session_attrs=read-write"},
		{"postgresql://u:hunter2@h/d?sslaccept=strict", "sslmode=verify-full"},
		{"postgresql://u:hunter2@h/d?ssl_mode=require", "did you mean sslmode?"},
		{"postgresql://u:hunter2@h/d?sslmod=require", "parameter sslmod in it is none"},
		{"postgresql://u:hunter2@h/d?verbose", "parameter verbose in it has no value"},
		{"postgresql://u:hunter2@h/d?a%20b=1", "odd characters"},
		{"postgresql://u:hunter2@h/d?sslmode=required", "sslmode in it must be one of"},
		{"postgresql://u:hunter2@h/d?target_session_attrs=rw", "target_session_attrs in it"},
		{"postgresql://u:hunter2@h/d?connect_timeout=2s", "connect_timeout in it must be a whole"},
		{"postgresql://h:54x32/d", "the port in it"},
		{"postgresql://h:99999/d", "the port in it"},
		{"postgresql://u:hunter2@h:port/d", "the port in it"},
		{"postgresql://u:hunter2@h:5432\\d", "the port in it"},
		{"postgresql://u:hunter2@h/d?sslmode=", "parameter sslmode in it has no value"},
		{"postgresql://u@h/d?target_session_attrs=", "target_session_attrs in it has no value"},
		{"postgresql://u@h/d?sslmode=prefer&sslmode=disable", "two things of sslmode"},
		{"postgresql://a:1,b:2/d?port=1,2,3", "one for each"},
		{"postgresql://u@h/d?hostaddr=db.example", "hostaddr in it must be an IP address"},
		{"postgresql://u@h/d?sslrootcert=/nowhere/ca.pem", "sslrootcert in it names a file"},
		{"postgresql://u@h/d?sslcert=/nowhere/c.pem", "sslcert in it names a file"},
		{"host=h sslkey=/nowhere/key.pem", "sslkey in it names a file"},
		{"postgresql://u:hun/ter2@h/d", "percent-encoded"},
		{"postgresql://u:hun/ter2?x=hunter2&y@h/d", "percent-encoded"},
		{"postgresql://u:hunter2@ss@h/d", "percent-encoded"},
		{"postgresql://u:12/hunter2@h/d", "percent-encoded"},
		{"host=h password=a hunter2", "single quotes"},
		{"host=h password=a hunter2=b", "single quotes"},
		{"host=h passwort=hunter2", "did you mean password?"},
		{"host=h schema=x", "parameter schema"},
		{"host=h sslmode=on", "sslmode in it must be one of"},
	};
	for (const auto &[given, part] : cases) {
		EXPECT_TRUE(refuses(given, part)) << given;
		const Loaded loaded = load_environment({{"DATABASE_URL", given}});
		ASSERT_EQ(loaded.errors.size(), 1U) << given;
		EXPECT_EQ(loaded.errors[0].message.find("hunter2"), std::string::npos) << given;
		EXPECT_EQ(loaded.errors[0].message.find("ter2"), std::string::npos) << given;
	}
}

TEST(DatabaseUrl, WhatLibpqTakesStays)
{
	for (const char *given :
		 {"postgresql://u:p%40ss@h:5432/db?sslmode=require", "postgresql://h1:1,h2:2/db",
		  "postgresql:///db?host=/run/postgresql", "postgresql://u:a?b#c@h/db",
		  "postgresql://[::1]:5432/db", "postgresql://h/db?options=-c%20geqo%3Doff",
		  "host=/tmp dbname=x", "host=h password='with \\' a space' user = u",
		  "postgresql://h1,h2/db?port=1,2&target_session_attrs=read-write&connect_timeout=3"})
		EXPECT_EQ(url_of(given), given);
}
