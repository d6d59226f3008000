#include "loading.hpp"

#include <sys/stat.h>

#include <set>

#include "settings/settings_table.hpp"

using sidecar::settings::load;
using sidecar::settings::SettingError;

namespace
{

constexpr const char *kDatabase = "postgresql://app@localhost/app";

struct FaultCase {
	const char *setting;
	std::string value;
	const char *part;
};

std::string all_messages(const Loaded &loaded)
{
	std::string text;
	for (const SettingError &error : loaded.errors)
		text += error.setting + ": " + error.message + "\n";
	for (const std::string &warning : loaded.settings.warnings)
		text += warning + "\n";
	return text;
}

} // namespace

TEST(Load, Defaults)
{
	const Loaded loaded = load_environment({});
	ASSERT_TRUE(has_no_error(loaded));
	const auto &settings = loaded.settings;
	EXPECT_EQ(settings.database_url.reveal(), kDatabase);
	EXPECT_TRUE(settings.redis_url.empty());
	EXPECT_EQ(settings.listen.host, "127.0.0.1");
	EXPECT_EQ(settings.listen.port, 8090);
	EXPECT_FALSE(settings.api_listen);
	EXPECT_EQ(settings.public_url, "http://localhost:8090");
	EXPECT_TRUE(settings.api_tokens.empty());
	EXPECT_TRUE(settings.return_to_origins.empty());
	EXPECT_EQ(settings.state_ttl.count(), 600);
	EXPECT_EQ(settings.spool_dir, "/var/lib/oauth-sidecar");
	EXPECT_EQ(settings.provider_timeout.count(), 15);
	EXPECT_EQ(settings.database_pool, 8);
	EXPECT_EQ(settings.threads, 0);
	EXPECT_EQ(settings.log_level, "info");
	EXPECT_TRUE(has_warning(loaded, "providers: none is configured"));
}

TEST(Load, FaultTable)
{
	const FaultCase cases[] = {
		{"DATABASE_URL", "", "empty"},
		{"DATABASE_URL", "mysql://u:hunter2@h/d", "postgresql://"},
		{"DATABASE_URL", "hunter2", "postgresql://"},
		{"DATABASE_URL", "postgresql://u:hunter2%@h/d", "%25"},
		{"DATABASE_URL", "postgresql://u:hunter2%4@h/d", "%25"},
		{"DATABASE_URL", "postgresql://u:hunter2 3@h/d", "%20"},
		{"DATABASE_URL", "postgresql://u:hunter2\n@h/d", "control"},
		{"REDIS_URL", "http://:hunter2@h", "redis://"},
		{"REDIS_URL", "hunter2", "redis://"},
		{"OAUTH_LISTEN", ":8090", "say which address"},
		{"OAUTH_LISTEN", "*:8090", "say which address"},
		{"OAUTH_LISTEN", "8090", "127.0.0.1:8090"},
		{"OAUTH_LISTEN", "127.0.0.1", "127.0.0.1:8090"},
		{"OAUTH_LISTEN", "127.0.0.1:", "port"},
		{"OAUTH_LISTEN", "127.0.0.1:0", "port"},
		{"OAUTH_LISTEN", "127.0.0.1:65536", "port"},
		{"OAUTH_LISTEN", "127.0.0.1:+80", "port"},
		{"OAUTH_LISTEN", "::1:8090", "brackets"},
		{"OAUTH_LISTEN", "[::1]", "port"},
		{"OAUTH_LISTEN", "[127.0.0.1]:80", "IP address"},
		{"OAUTH_LISTEN", "app.example.com:80", "IP address"},
		{"OAUTH_LISTEN", "http://127.0.0.1:80", "brackets"},
		{"OAUTH_LISTEN", "unix:relative", "absolute"},
		{"OAUTH_LISTEN", "unix:/" + std::string(107, 'x'), "107"},
		{"OAUTH_API_LISTEN", ":1", "say which address"},
		{"OAUTH_PUBLIC_URL", "app.example.com", "https://"},
		{"OAUTH_PUBLIC_URL", "ftp://app.example.com", "https://"},
		{"OAUTH_PUBLIC_URL", "http://app.example.com", "plain http"},
		{"OAUTH_PUBLIC_URL", "https://app.example.com?a=b", "query"},
		{"OAUTH_PUBLIC_URL", "https://app.example.com#a", "fragment"},
		{"OAUTH_PUBLIC_URL", "https://u:hunter2@app.example.com", "user name"},
		{"OAUTH_PUBLIC_URL", "https://app.example.com//", "must be like"},
		{"OAUTH_PUBLIC_URL", "https://", "https://"},
		{"OAUTH_RETURN_TO", "app.example.com", "entry 1"},
		{"OAUTH_RETURN_TO", "https://a.example.com, http://b.example.com", "entry 2"},
		{"OAUTH_RETURN_TO", "https://a.example.com/path", "without a path"},
		{"OAUTH_RETURN_TO", "*", "entry 1"},
		{"OAUTH_STATE_TTL_SECONDS", "0", "1 to 86400"},
		{"OAUTH_STATE_TTL_SECONDS", "ten", "whole number"},
		{"OAUTH_STATE_TTL_SECONDS", "10s", "whole number"},
		{"OAUTH_STATE_TTL_SECONDS", "99999999999999999999", "whole number"},
		{"OAUTH_PROVIDER_TIMEOUT_SECONDS", "31", "1 to 30"},
		{"OAUTH_DATABASE_POOL", "0", "1 to 200"},
		{"OAUTH_MAX_CONNECTIONS", "-1", "1 to 1000000"},
		{"OAUTH_THREADS", "0", "1 to 64"},
		{"OAUTH_THREADS", "65", "1 to 64"},
		{"OAUTH_LOG_LEVEL", "loud", "debug, info"},
		{"OAUTH_SPOOL_DIR", "spool", "absolute"},
		{"OAUTH_CA_FILE", "/nowhere", "cannot be read"},
		{"OAUTH_CONFIG", "nowhere.toml", "no such file"},
		{"OAUTH_CONFIG", " ", "empty"},
		{"OAUTH_API_TOKENS", "", "empty"},
		{"OAUTH_API_TOKENS", "hunter2", "token 1 of the list: it has fewer than 20"},
		{"OAUTH_API_TOKENS", std::string(20, 'a') + ",", "token 2"},
		{"OAUTH_API_TOKENS", std::string(20, 'a') + " hunter2", "visible ASCII"},
		{"OAUTH_API_TOKENS", std::string(20, 'a') + "\xc3\xa4", "visible ASCII"},
		{"OAUTH_API_TOKENS", std::string(1025, 'a'), "1024"},
		{"GOOGLE_CLIENT_SECRET", " ", "empty"},
		{"MICROSOFT_TENANT", "my tenant", "a GUID"},
		{"MICROSOFT_TENANT", "a/../b", "a GUID"},
		{"OAUTH_CACHE_KEY", "hunter2", "Fernet"},
		{"OAUTH_CACHE_KEY_TEMPLATE", "oauth:{provider}:{workspace_id}", "{actor_id}"},
		{"OAUTH_CACHE_PREFIX", "oauth cache", "letters, digits"},
		{"OAUTH_CACHE_MAX_TTL", "0", "1 to 86400"},
		{"OAUTH_CACHE_REFRESH_TOKEN", "perhaps", "on or off"},
	};
	for (const FaultCase &test : cases) {
		const Loaded loaded = load_environment({{test.setting, test.value}});
		EXPECT_TRUE(has_error(loaded, test.setting, test.part)) << test.value;
		EXPECT_EQ(all_messages(loaded).find("hunter2"), std::string::npos) << all_messages(loaded);
	}
}

TEST(Load, MissingDatabase)
{
	TestDirectory directory;
	EXPECT_TRUE(has_error(load({}, directory.path()), "DATABASE_URL", "missing"));
}

TEST(Load, AllFaultsAtOnce)
{
	TestDirectory directory;
	directory.write(".env", "oops\nOAUTH_STATE_TTL_SECONDS=x\n");
	directory.write("oauth-sidecar.toml", "listne = '1'\nlog_level = 'loud'\n"
										  "[providers.a]\nissuer = 'http://example.com'\n"
										  "[[api_tokens]]\nallow = ['everything']\n");
	const Loaded loaded =
		load({{"OAUTH_LISTEN", ":1"}, {"GOOGLE_CLIENT_ID", "id"}}, directory.path());
	const std::vector<std::string> expected = {".env",
											   "OAUTH_LISTEN",
											   "OAUTH_LOG_LEVEL",
											   "OAUTH_STATE_TTL_SECONDS",
											   "DATABASE_URL",
											   "providers.a.issuer",
											   "providers.a.client_id",
											   "providers.a.client_secret",
											   "GOOGLE_CLIENT_SECRET",
											   "api_tokens[1].name",
											   "api_tokens[1].token",
											   "api_tokens[1].allow",
											   "listne"};
	EXPECT_EQ(faulted(loaded), expected) << all_messages(loaded);
}

TEST(Load, Precedence)
{
	TestDirectory directory;
	directory.write("oauth-sidecar.toml",
					"database_url = 'postgresql://toml@h/d'\n"
					"listen = '127.0.0.1:1'\nlog_level = 'debug'\n"
					"state_ttl_seconds = 60\nreturn_to = ['https://a.example']\n");
	directory.write(".env", "OAUTH_LISTEN=127.0.0.1:2\nDATABASE_URL=postgresql://dotenv@h/d\n"
							"OAUTH_STATE_TTL_SECONDS=61\n");
	const Loaded loaded =
		load({{"OAUTH_LISTEN", "127.0.0.1:3"}, {"OAUTH_RETURN_TO", "https://b.example"}},
			 directory.path());
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_EQ(loaded.settings.listen.port, 3);
	EXPECT_EQ(loaded.settings.database_url.reveal(), "postgresql://dotenv@h/d");
	EXPECT_EQ(loaded.settings.state_ttl.count(), 61);
	EXPECT_EQ(loaded.settings.log_level, "debug");
	EXPECT_EQ(loaded.settings.return_to_origins, std::vector<std::string>{"https://b.example"});
}

TEST(Load, SecretFiles)
{
	TestDirectory directory;
	const std::string path = directory.write("url", "postgresql://file@h/d\r\n");
	directory.write("relative", "postgresql://relative@h/d");
	directory.write("two", "a\nb\n");
	directory.write("empty", "\n");
	directory.write("open", "postgresql://open@h/d\n", 0644);

	Loaded loaded = load({{"DATABASE_URL_FILE", path}}, directory.path());
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_EQ(loaded.settings.database_url.reveal(), "postgresql://file@h/d");
	EXPECT_FALSE(has_warning(loaded, "DATABASE_URL"));
	loaded = load({{"DATABASE_URL_FILE", "relative"}}, directory.path());
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_EQ(loaded.settings.database_url.reveal(), "postgresql://relative@h/d");
	loaded = load({{"DATABASE_URL_FILE", "open"}}, directory.path());
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_TRUE(has_warning(loaded, "DATABASE_URL_FILE: the file can be read by group or others"));

	const FaultCase cases[] = {{"DATABASE_URL_FILE", "two", "control characters"},
							   {"DATABASE_URL_FILE", "empty", "empty"},
							   {"DATABASE_URL_FILE", "", "name a file"},
							   {"DATABASE_URL_FILE", "/hunter2", "No such file"},
							   {"DATABASE_URL_FILE", ".", "not a regular file"}};
	for (const FaultCase &test : cases) {
		loaded = load({{test.setting, test.value}}, directory.path());
		EXPECT_TRUE(has_error(loaded, test.setting, test.part)) << test.value;
		EXPECT_EQ(all_messages(loaded).find("hunter2"), std::string::npos);
	}
}

TEST(Load, SecretGivenTwice)
{
	TestDirectory directory;
	directory.write("url", "postgresql://file@h/d");
	for (const char *name : {"DATABASE_URL", "GOOGLE_CLIENT_SECRET", "OAUTH_API_TOKENS",
							 "REDIS_URL", "MICROSOFT_CLIENT_SECRET", "OAUTH_CACHE_KEY"}) {
		Environment environment = {{name, "x"}, {std::string(name) + "_FILE", "url"}};
		environment.try_emplace("DATABASE_URL", kDatabase);
		EXPECT_TRUE(has_error(load(environment, directory.path()), name, "twice")) << name;
	}
	directory.write("oauth-sidecar.toml", "database_url = 'a=b'\ndatabase_url_file = 'url'\n");
	EXPECT_TRUE(has_error(load({}, directory.path()), "database_url", "more than once"));
	// The environment wins over .env, in whatever form either has it.
	directory.write(".env", "DATABASE_URL=postgresql://dotenv@h/d\n");
	const Loaded loaded = load({{"DATABASE_URL_FILE", "url"}}, directory.path());
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_EQ(loaded.settings.database_url.reveal(), "postgresql://file@h/d");
}

TEST(Load, SecretsInToml)
{
	TestDirectory directory;
	directory.write("url", "postgresql://file@h/d\n");
	directory.write("oauth-sidecar.toml", "database_url_file = 'url'\n");
	EXPECT_EQ(load({}, directory.path()).settings.database_url.reveal(), "postgresql://file@h/d");
	directory.write("oauth-sidecar.toml", "database_url_env = 'PGURL'\n");
	EXPECT_EQ(load({{"PGURL", "dbname=d user=u"}}, directory.path()).settings.database_url.reveal(),
			  "dbname=d user=u");
	EXPECT_TRUE(has_error(load({}, directory.path()), "database_url_env", "not set"));
	directory.write("oauth-sidecar.toml", "database_url_env = 'postgresql://hunter2@h'\n");
	const Loaded loaded = load({}, directory.path());
	EXPECT_TRUE(has_error(loaded, "database_url_env", "name of an environment variable"));
	EXPECT_EQ(all_messages(loaded).find("hunter2"), std::string::npos);
}

TEST(Load, DatabaseUrlForms)
{
	const std::pair<const char *, const char *> cases[] = {
		{"postgresql://u:p%40%2F@h:5432/d?sslmode=require",
		 "postgresql://u:p%40%2F@h:5432/d?sslmode=require"},
		{"postgres://u@h/d", "postgresql://u@h/d"},
		{"postgresql+asyncpg://u@h/d", "postgresql://u@h/d"},
		{"postgresql+psycopg://u@/d?host=/run", "postgresql://u@/d?host=/run"},
		{"POSTGRES://u@h/d", "postgresql://u@h/d"},
		{"host=/run/postgresql dbname=d", "host=/run/postgresql dbname=d"},
		{"host=h password=a://b", "host=h password=a://b"},
		{" postgres://u@h/d ", "postgresql://u@h/d"},
	};
	for (const auto &[given, normal] : cases) {
		const Loaded loaded = load_environment({{"DATABASE_URL", given}});
		EXPECT_TRUE(has_no_error(loaded)) << given;
		EXPECT_EQ(loaded.settings.database_url.reveal(), normal);
	}
}

TEST(Load, Addresses)
{
	const auto listen = [](const char *text) {
		return load_environment(
			{{"OAUTH_LISTEN", text}, {"OAUTH_PUBLIC_URL", "https://a.example"}});
	};
	EXPECT_EQ(listen("[::1]:80").settings.listen.host, "::1");
	EXPECT_EQ(listen("localhost:80").settings.listen.host, "127.0.0.1");
	EXPECT_EQ(listen("unix:/run/s").settings.listen.unix_path, "/run/s");
	for (const char *local : {"[::1]:80", "localhost:80", "127.1.2.3:80", "unix:/run/s"}) {
		EXPECT_TRUE(has_no_error(listen(local))) << local;
		EXPECT_FALSE(has_warning(listen(local), "plain HTTP")) << local;
	}
	for (const char *open : {"0.0.0.0:80", "[::]:80", "10.0.0.1:80"}) {
		EXPECT_TRUE(has_no_error(listen(open))) << open;
		EXPECT_TRUE(has_warning(listen(open), "OAUTH_LISTEN: other machines")) << open;
	}
	EXPECT_TRUE(has_error(load_environment({{"OAUTH_LISTEN", "unix:/run/s"}}), "OAUTH_PUBLIC_URL",
						  "missing"));
	EXPECT_FALSE(load_environment({{"OAUTH_API_LISTEN", "127.0.0.1:8090"}}).settings.api_listen);
	EXPECT_TRUE(load_environment({{"OAUTH_API_LISTEN", "127.0.0.1:8091"}}).settings.api_listen);
	EXPECT_EQ(load_environment({{"OAUTH_LISTEN", "127.0.0.1:99"}}).settings.public_url,
			  "http://localhost:99");
}

TEST(Load, PublicUrlAndOrigins)
{
	for (const char *url :
		 {"https://app.example.com", "https://app.example.com/", "http://localhost:3000",
		  "http://127.0.0.1", "http://[::1]:80", "https://app.example.com/connect/"}) {
		const Loaded loaded = load_environment({{"OAUTH_PUBLIC_URL", url}});
		EXPECT_TRUE(has_no_error(loaded)) << url;
		EXPECT_FALSE(loaded.settings.public_url.ends_with('/')) << url;
	}
	const Loaded loaded =
		load_environment({{"OAUTH_RETURN_TO",
						   "https://a.example.com,https://*.example.com, https://a.example.com"}});
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_EQ(loaded.settings.return_to_origins,
			  (std::vector<std::string>{"https://a.example.com", "https://*.example.com"}));
	EXPECT_TRUE(has_error(load_toml("return_to = [1]"), "return_to", "array of texts"));
}

TEST(Load, Tls)
{
	TestDirectory directory;
	directory.write("c.pem", "certificate", 0644);
	directory.write("k.pem", "key");
	Environment environment = {{"DATABASE_URL", kDatabase},
							   {"OAUTH_LISTEN", "0.0.0.0:443"},
							   {"OAUTH_TLS_CERTIFICATE", "c.pem"}};
	EXPECT_TRUE(has_error(load(environment, directory.path()), "OAUTH_TLS_KEY", "missing"));
	environment["OAUTH_TLS_KEY"] = "k.pem";
	Loaded loaded = load(environment, directory.path());
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_EQ(loaded.settings.tls_key, directory.path() + "/k.pem");
	EXPECT_EQ(loaded.settings.public_url, "https://localhost:443");
	EXPECT_FALSE(has_warning(loaded, "OAUTH_"));
	directory.write("k.pem", "key", 0640);
	EXPECT_TRUE(has_warning(load(environment, directory.path()), "OAUTH_TLS_KEY: the file"));
	environment["OAUTH_TLS_KEY"] = "none.pem";
	EXPECT_TRUE(has_error(load(environment, directory.path()), "OAUTH_TLS_KEY", "cannot be read"));
}

TEST(Load, UnknownNames)
{
	Loaded loaded = load_environment({{"OAUTH_LISTNE", "hunter2"},
									  {"OAUTH_X\x1b", "hunter2"},
									  {"OAUTH_ENCRYPTION_KEY", "hunter2"},
									  {"OTHER", "x"}});
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_TRUE(has_warning(loaded, "OAUTH_LISTNE: no such setting (did you mean OAUTH_LISTEN?)"));
	EXPECT_TRUE(has_warning(loaded, "(a name with odd characters): no such setting"));
	EXPECT_TRUE(has_warning(loaded, "OAUTH_ENCRYPTION_KEY: it is the database server's"));
	EXPECT_FALSE(has_warning(loaded, "OTHER"));
	EXPECT_EQ(all_messages(loaded).find("hunter2"), std::string::npos);

	EXPECT_TRUE(has_error(load_toml("lissten = 'x'"), "lissten", "did you mean listen?"));
	EXPECT_TRUE(has_error(load_toml("config = 'x'"), "config", "no such key"));
	EXPECT_TRUE(has_error(load_toml("oauth_listen = 'x'"), "oauth_listen", "no such key"));
	// A variable that a block asks for is no stranger.
	loaded = load_toml("database_url_env = 'OAUTH_DB'", {{"OAUTH_DB", kDatabase}});
	EXPECT_FALSE(has_warning(load_toml("[providers.a]\nissuer = 'https://a.example'\n"
									   "client_id = 'i'\nclient_secret_env = 'OAUTH_A'",
									   {{"OAUTH_A", "s"}}),
							 "OAUTH_A"));
}

TEST(Load, BrokenToml)
{
	for (const char *toml :
		 {"a = 'hunter2", "= hunter2", "a = 1\na = 'hunter2'", "[x\n", "a = hunter2", "\xff = 1"}) {
		const Loaded loaded = load_toml(toml);
		EXPECT_TRUE(has_error(loaded, "oauth-sidecar.toml", "line ")) << toml;
		EXPECT_EQ(all_messages(loaded).find("hunter2"), std::string::npos);
	}
	EXPECT_TRUE(has_error(load_toml("providers = 1"), "providers", "[providers.NAME]"));
	EXPECT_TRUE(has_error(load_toml("listen = 1979-05-27"), "listen", "text in quotes"));
	EXPECT_TRUE(has_error(load_toml("listen = ['a']"), "listen", "text in quotes"));
	EXPECT_TRUE(has_no_error(load_toml("state_ttl_seconds = 60\ncache_refresh_token = true")));
}

TEST(Load, SecretsInAnOpenConfig)
{
	TestDirectory directory;
	directory.write("oauth-sidecar.toml", "database_url = 'dbname=d'", 0640);
	EXPECT_TRUE(has_warning(load({}, directory.path()), "database_url: it stands in a file"));
	directory.write("oauth-sidecar.toml", "database_url_env = 'PGURL'", 0644);
	EXPECT_FALSE(has_warning(load({{"PGURL", "dbname=d"}}, directory.path()), "database_url"));
}

TEST(Load, NamedConfig)
{
	TestDirectory directory;
	const std::string path = directory.write("other.toml", "log_level = 'error'");
	const Loaded loaded =
		load({{"DATABASE_URL", kDatabase}, {"OAUTH_CONFIG", path}}, directory.path());
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_EQ(loaded.settings.log_level, "error");
	directory.write(".env", "OAUTH_CONFIG=other.toml\nDATABASE_URL=a=b", 0644);
	EXPECT_EQ(load({}, directory.path()).settings.log_level, "error");
	EXPECT_TRUE(has_warning(load({}, directory.path()), ".env: it holds secrets"));
}

TEST(SettingsTable, IsSortedAndInTheHelp)
{
	const auto all = sidecar::settings::settings_table();
	for (std::size_t i = 1; i < all.size(); i++)
		EXPECT_LT(all[i - 1].name, all[i].name);
	const std::string help = sidecar::settings::help_text();
	std::size_t begin = 0;
	for (std::size_t end; (end = help.find('\n', begin)) != std::string::npos; begin = end + 1)
		EXPECT_LE(end - begin, 80u) << help.substr(begin, end - begin);
	for (const auto &setting : all)
		EXPECT_NE(help.find("\n  " + std::string(setting.name)), std::string::npos) << setting.name;
}
