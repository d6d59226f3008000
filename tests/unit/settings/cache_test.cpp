#include "loading.hpp"

namespace
{

constexpr const char *kTemplate = "OAUTH_CACHE_KEY_TEMPLATE";
constexpr const char *kPrefix = "OAUTH_CACHE_PREFIX";
constexpr const char *kPython = "oauth:token:{provider}:{workspace_id}:{actor_id}";

std::string fernet_key()
{
	return std::string(43, 'A') + "=";
}

} // namespace

TEST(CacheSettings, Defaults)
{
	const Loaded loaded = load_environment({});
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_TRUE(loaded.settings.redis_url.empty());
	const auto &cache = loaded.settings.cache;
	EXPECT_TRUE(cache.key.empty());
	EXPECT_EQ(cache.key_template, "");
	EXPECT_EQ(cache.max_ttl.count(), 3600);
	EXPECT_EQ(cache.prefix, "oauth:cache");
	EXPECT_FALSE(cache.refresh_token);
	EXPECT_FALSE(cache.require_ephemeral);
}

TEST(CacheSettings, AllOfThem)
{
	const Loaded loaded = load_environment({{"REDIS_URL", "rediss://:p@h:6379/1"},
											{kTemplate, kPython},
											{"OAUTH_CACHE_MAX_TTL", "60"},
											{kPrefix, "p"},
											{"OAUTH_CACHE_REFRESH_TOKEN", "on"},
											{"OAUTH_CACHE_REQUIRE_EPHEMERAL", "on"}});
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_FALSE(has_warning(loaded, "REDIS_URL"));
	EXPECT_FALSE(has_warning(loaded, "CACHE"));
	EXPECT_EQ(loaded.settings.redis_url.reveal(), "rediss://:p@h:6379/1");
	const auto &cache = loaded.settings.cache;
	EXPECT_EQ(cache.key_template, kPython);
	EXPECT_EQ(cache.max_ttl.count(), 60);
	EXPECT_EQ(cache.prefix, "p");
	EXPECT_TRUE(cache.refresh_token);
	EXPECT_TRUE(cache.require_ephemeral);
	EXPECT_EQ(load_environment({{"OAUTH_CACHE_KEY", fernet_key()}}).settings.cache.key.reveal(),
			  fernet_key());
}

TEST(CacheSettings, RedisUrl)
{
	for (const char *url :
		 {"redis://localhost", "redis://localhost:6380/3", "rediss://u:p%40@h.example:6379",
		  "redis://[::1]:6379/0", "unix:///run/redis/redis.sock", "REDIS://localhost",
		  "redis://a:26379,b:26379/0?master=main"})
		EXPECT_TRUE(has_no_error(load_environment({{"REDIS_URL", url}}))) << url;
	for (const char *url :
		 {"http://:hunter2@h", "hunter2", "redis://", "redis://hunter2%@h", "redis://:hunter2@",
		  "redis://:hunter2@h:port", "redis://:hunter2@h/zero", "redis://:hunter2/x@h",
		  "redis://:hunter2@h 1", "redis://:hunter2@a,b", "unix://hunter2"}) {
		const Loaded loaded = load_environment({{"REDIS_URL", url}});
		EXPECT_TRUE(has_error(loaded, "REDIS_URL", "it ")) << url;
		for (const auto &error : loaded.errors)
			EXPECT_EQ(error.message.find("hunter2"), std::string::npos) << error.message;
	}
}

TEST(CacheSettings, KeyThatIsNone)
{
	for (const std::string &key : {std::string("short"), std::string(44, 'A'), fernet_key() + "=",
								   std::string(43, 'A') + "A", std::string(42, 'A') + "==",
								   std::string(42, 'A') + "B=", std::string(42, '/') + "A="}) {
		const Loaded loaded = load_environment({{"OAUTH_CACHE_KEY", key}});
		EXPECT_TRUE(has_error(loaded, "OAUTH_CACHE_KEY", "Fernet key")) << key;
		for (const auto &error : loaded.errors)
			EXPECT_EQ(error.message.find(key), std::string::npos);
	}
}

TEST(CacheSettings, Prefix)
{
	for (const std::string &prefix :
		 {std::string("a"), std::string("A:b_c.d-9:"), std::string(128, 'x')})
		EXPECT_TRUE(has_no_error(load_environment({{kPrefix, prefix}}))) << prefix;
	for (const std::string &prefix :
		 {std::string("a b"), std::string("a*"), std::string("[a]"), std::string("a?"),
		  std::string("a\\"), std::string("{a}"), std::string("\xc3\xa4"), std::string(129, 'x')})
		EXPECT_TRUE(has_error(load_environment({{kPrefix, prefix}}), kPrefix, "1 to 128"))
			<< prefix;
	EXPECT_TRUE(has_error(load_environment({{kPrefix, ""}}), kPrefix, "empty"));
}

// The Python service reads an entry without a refresh token as a grant without one.
TEST(CacheSettings, TemplateWithoutRefreshToken)
{
	const std::string_view warning = "OAUTH_CACHE_REFRESH_TOKEN=on";
	EXPECT_TRUE(has_warning(load_environment({{kTemplate, kPython}}), warning));
	EXPECT_FALSE(has_warning(
		load_environment({{kTemplate, kPython}, {"OAUTH_CACHE_REFRESH_TOKEN", "on"}}), warning));
	EXPECT_FALSE(has_warning(load_environment({}), warning));
}

TEST(CacheSettings, Template)
{
	EXPECT_TRUE(has_error(load_environment({{kTemplate, "oauth:{provider}:{workspace_id}"}}),
						  kTemplate, "{actor_id}"));
	EXPECT_TRUE(has_error(load_environment({{kTemplate, std::string(kPython) + "{tenant}"}}),
						  kTemplate, "can be in braces"));
	EXPECT_TRUE(has_error(load_environment({{kTemplate, std::string(kPython) + "}"}}), kTemplate,
						  "do not pair"));
	EXPECT_TRUE(
		has_error(load_environment({{"OAUTH_CACHE_KEY", fernet_key()}, {kTemplate, kPython}}),
				  kTemplate, "keep one"));
}

// An entry's key is never one of the cache's own.
TEST(CacheSettings, TemplateUnderThePrefix)
{
	const std::string own = "oauth:cache:{provider}:{workspace_id}:{actor_id}";
	EXPECT_TRUE(has_error(load_environment({{kTemplate, own}}), kTemplate, kPrefix));
	EXPECT_TRUE(has_no_error(load_environment({{kTemplate, own}, {kPrefix, "mine"}})));
	EXPECT_TRUE(has_error(load_environment({{kPrefix, "oauth:token"}}), kPrefix, "change one"));
}
