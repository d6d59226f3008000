#include "settings/settings_table.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "address/redis_address.hpp"
#include "base/text.hpp"
#include "common/fernet_key.hpp"
#include "settings/address.hpp"
#include "settings/file.hpp"
#include "settings/special_settings.hpp"

namespace sidecar::settings
{

namespace
{

// What a member of Settings or Cache is in `settings`.
template <auto member>
auto &at(Settings &settings)
{
	if constexpr (std::is_invocable_v<decltype(member), Cache &>)
		return settings.cache.*member;
	else
		return settings.*member;
}

template <auto member>
void text(Given &given)
{
	at<member>(given.settings) = given.text();
}

template <auto member, long long low, long long high>
void number(Given &given)
{
	auto &to = at<member>(given.settings);
	if (const auto number = parse_number(given.text(), low, high))
		to = std::remove_reference_t<decltype(to)>(static_cast<int>(*number));
	else
		given.error("it must be a whole number from " + std::to_string(low) + " to " +
					std::to_string(high));
}

template <auto member>
void flag(Given &given)
{
	const std::string word = lower(given.text());
	at<member>(given.settings) = word == "on" || word == "true";
	if (word != "on" && word != "true" && word != "off" && word != "false")
		given.error("it must be on or off");
}

template <auto member>
void address(Given &given)
{
	auto parsed = parse_address(given.text());
	if (auto *address = std::get_if<Address>(&parsed))
		at<member>(given.settings) = std::move(*address);
	else
		given.error(std::get<std::string_view>(parsed));
}

template <auto member, bool is_private = false>
void file(Given &given)
{
	std::string &path = at<member>(given.settings);
	path = resolved_path(given.text(), given.sources.directory);
	check_readable(given.setting, path, is_private, given.sources.diagnostics);
}

void redis_url(Given &given)
{
	const auto parsed = address::parse_redis_address(given.text());
	if (const auto *wrong = std::get_if<std::string_view>(&parsed))
		given.error("it " + std::string(*wrong));
	else
		given.settings.redis_url = std::move(given.value);
}

void cache_key(Given &given)
{
	if (common::fernet::Key::parse(given.text()))
		given.settings.cache.key = std::move(given.value);
	else
		given.error("it must be a Fernet key: 32 bytes as 44 characters of URL-safe base64");
}

// Nothing in it that Redis would take for a pattern.
void cache_prefix(Given &given)
{
	constexpr std::size_t kLongest = 128;
	const auto is_plain = [](char c) {
		return is_alphanumeric(c) || c == ':' || c == '_' || c == '.' || c == '-';
	};
	if (given.text().size() <= kLongest && std::ranges::all_of(given.text(), is_plain))
		given.settings.cache.prefix = given.text();
	else
		given.error("it must be of 1 to 128 letters, digits and : _ . -");
}

void log_level(Given &given)
{
	constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};
	given.settings.log_level = lower(given.text());
	if (std::ranges::find(kLevels, given.settings.log_level) == std::end(kLevels))
		given.error("it must be debug, info, warning or error");
}

void spool_dir(Given &given)
{
	given.settings.spool_dir = given.text();
	if (!given.text().starts_with('/'))
		given.error("it must be an absolute path");
}

constexpr long long kDay = 24 * 3600;
// A refresh's lease is this and 35 s (docs/design/refresh.md, "Lease"): if the daemon dies, others
// wait for so long.
constexpr long long kLongestProviderTimeout = 30;
constexpr long long kMostThreads = 64;
constexpr Kind kSecret = Kind::secret;

// The name, the default, how it is read (and stored where, within which bounds), and what
// --help says. The default is empty if there is none, and the help then says so.
constexpr Setting kSettings[] = {
	{"DATABASE_URL", "", database_url,
	 "Postgres, as in postgresql://user:password@host:5432/database; required", kSecret},
	{"GOOGLE_CLIENT_ID", "", preset_client,
	 "with GOOGLE_CLIENT_SECRET: the provider google, without a block"},
	{"GOOGLE_CLIENT_SECRET", "", preset_client, "see GOOGLE_CLIENT_ID", kSecret},
	{"MICROSOFT_CLIENT_ID", "", preset_client,
	 "with MICROSOFT_CLIENT_SECRET: the provider microsoft, without a block"},
	{"MICROSOFT_CLIENT_SECRET", "", preset_client, "see MICROSOFT_CLIENT_ID", kSecret},
	{"MICROSOFT_TENANT", "(common)", preset_client,
	 "common, organizations, consumers, a domain or a GUID"},
	{"OAUTH_API_LISTEN", "(the same)", address<&Settings::api_listen>,
	 "listen here for the API and /metrics"},
	{"OAUTH_API_TOKENS", "(none: the API answers 401)", unrestricted_tokens,
	 "tokens that may call all of the API, with commas between, at least 20 characters each",
	 kSecret},
	{"OAUTH_CACHE_KEY", "(none: entries are plain)", cache_key,
	 "a Fernet key that seals what is cached; not together with OAUTH_CACHE_KEY_TEMPLATE", kSecret},
	{"OAUTH_CACHE_KEY_TEMPLATE", "(the cache's own)", text<&Cache::key_template>,
	 "the key of an entry, for services that read it, of {provider}, {workspace_id}, {actor_id} "
	 "and {actor_type}; without the last, users alone are cached"},
	{"OAUTH_CACHE_MAX_TTL", "3600", number<&Cache::max_ttl, 1, kDay>,
	 "longest life of an entry, in seconds; one whose token has no known expiry lives for 300 at "
	 "most"},
	{"OAUTH_CACHE_PREFIX", "oauth:cache", cache_prefix,
	 "prefix of the cache's own keys; each database needs another"},
	{"OAUTH_CACHE_REFRESH_TOKEN", "off", flag<&Cache::refresh_token>,
	 "on: entries hold the refresh token, for services that read them"},
	{"OAUTH_CACHE_REQUIRE_EPHEMERAL", "off", flag<&Cache::require_ephemeral>,
	 "on: refuse to write plain entries to a Redis that writes to disk or has replicas"},
	{"OAUTH_CA_FILE", "(the system's)", file<&Settings::ca_file>,
	 "PEM file of the authorities that certificates of providers and Redis are checked with"},
	{"OAUTH_CONFIG", "(oauth-sidecar.toml if there)", nullptr,
	 "TOML file with settings and providers"},
	{"OAUTH_DATABASE_POOL", "8", number<&Settings::database_pool, 1, 200>,
	 "connections to Postgres"},
	{"OAUTH_LISTEN", "127.0.0.1:8090", address<&Settings::listen>,
	 "listen here: address and port, or unix:/path"},
	{"OAUTH_LOG_LEVEL", "info", log_level, "debug, info, warning or error"},
	{"OAUTH_MAX_CONNECTIONS", "10000", number<&Settings::max_connections, 1, 1'000'000>,
	 "clients connected at a time"},
	{"OAUTH_PROVIDER_TIMEOUT_SECONDS", "15",
	 number<&Settings::provider_timeout, 1, kLongestProviderTimeout>, "longest call to a provider"},
	{"OAUTH_PUBLIC_URL", "(http://localhost:<port>)", public_url,
	 "what browsers see, and redirect addresses are made from; required with a Unix socket"},
	{"OAUTH_RETURN_TO", "(none: paths only)", return_to_origins,
	 "origins that a browser may be sent back to, with commas between; https://*.example.com "
	 "allows one label",
	 Kind::list},
	{"OAUTH_SPOOL_DIR", "/var/lib/oauth-sidecar", spool_dir,
	 "directory, of mode 0700, for answers that are not yet stored; must outlive a container"},
	{"OAUTH_STATE_TTL_SECONDS", "600", number<&Settings::state_ttl, 1, kDay>, "life of a link"},
	{"OAUTH_THREADS", "(one a core, up to 8)", number<&Settings::threads, 1, kMostThreads>,
	 "threads that answer requests"},
	{"OAUTH_TLS_CERTIFICATE", "(none: plain HTTP)", file<&Settings::tls_certificate>,
	 "PEM file with the certificate and its chain"},
	{"OAUTH_TLS_KEY", "", file<&Settings::tls_key, true>,
	 "PEM file with the certificate's private key"},
	{"REDIS_URL", "(none: no cache)", redis_url,
	 "Redis, which keeps copies of access tokens, as in redis://user:password@host:6379/0; "
	 "rediss:// for TLS, unix:///path, or sentinels with ?master=NAME",
	 kSecret},
};

} // namespace

std::string Setting::toml_key() const
{
	constexpr std::string_view kPrefix = "OAUTH_";
	return lower(name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name);
}

std::span<const Setting> settings_table() noexcept
{
	return kSettings;
}

} // namespace sidecar::settings
