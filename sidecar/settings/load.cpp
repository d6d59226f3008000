#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/text.hpp"
#include "settings/api_tokens.hpp"
#include "settings/cache.hpp"
#include "settings/database_url.hpp"
#include "settings/file.hpp"
#include "settings/providers.hpp"
#include "settings/server_settings.hpp"
#include "settings/setting_reader.hpp"
#include "settings/settings.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kConfig = "OAUTH_CONFIG";
constexpr const char *kDefaultConfig = "oauth-sidecar.toml";
constexpr std::string_view kLogLevels[] = {"debug", "info", "warning", "error"};

constexpr long long kLongestLinkSeconds = 24 * 3600;
constexpr long long kMostConnections = 1'000'000;
// A refresh's lease is this and 35 s (docs/design/refresh.md, "Lease"): if the daemon dies, others
// wait for so long.
constexpr long long kLongestProviderTimeout = 30;
constexpr long long kLargestPool = 200;

// The TOML file; no members where there is none and none was asked for.
struct Config {
	TomlTable members;
	bool open_to_others = false;
};

Config read_config(Variables &variables, const std::string &directory, Diagnostics &diagnostics)
{
	const std::string *named = variables.find(kConfig);
	if (named != nullptr && trimmed(*named).empty()) {
		diagnostics.error(kConfig, "it is empty; name a file, or leave it out");
		return {};
	}
	File file = read_file(resolved_path(named != nullptr ? *named : kDefaultConfig, directory),
						  kLargestConfiguration);
	if (file.error == ENOENT && named == nullptr)
		return {};
	if (file.error != 0) {
		diagnostics.error(named != nullptr ? kConfig : kDefaultConfig,
						  file.error == ENOENT ? "there is no such file"
											   : "the file is there and cannot be read");
		return {};
	}
	std::string text(file.content.reveal());
	auto members = parse_toml(text, named != nullptr ? kConfig : kDefaultConfig, diagnostics);
	return {members ? std::move(*members) : TomlTable(), file.open_to_others};
}

// Takes the member out of the table, so that what remains is single settings.
std::optional<TomlValue> take(TomlTable &table, std::string_view key)
{
	const auto found = std::ranges::find(table, key, &TomlMember::key);
	if (found == table.end() || std::holds_alternative<std::string>(found->value.data))
		return std::nullopt;
	TomlValue value = std::move(found->value);
	table.erase(found);
	return value;
}

void read_database(SettingReader &reader, Settings &settings)
{
	constexpr std::string_view kUrl = "DATABASE_URL";
	const std::size_t errors = reader.diagnostics().errors.size();
	if (auto url = reader.secret(kUrl))
		settings.database_url = database_url(std::move(*url), reader.diagnostics());
	else if (reader.diagnostics().errors.size() == errors)
		reader.diagnostics().error(kUrl, "it is missing; it is like "
										 "postgresql://user:password@host:5432/database");
	settings.database_pool = static_cast<int>(
		reader.number("OAUTH_DATABASE_POOL", 1, kLargestPool, settings.database_pool));
}

void read_limits(SettingReader &reader, Settings &settings)
{
	using std::chrono::seconds;
	settings.state_ttl = seconds(reader.number("OAUTH_STATE_TTL_SECONDS", 1, kLongestLinkSeconds,
											   settings.state_ttl.count()));
	settings.provider_timeout =
		seconds(reader.number("OAUTH_PROVIDER_TIMEOUT_SECONDS", 1, kLongestProviderTimeout,
							  settings.provider_timeout.count()));
	settings.max_connections = static_cast<int>(
		reader.number("OAUTH_MAX_CONNECTIONS", 1, kMostConnections, settings.max_connections));
}

void read_rest(SettingReader &reader, Settings &settings)
{
	Diagnostics &diagnostics = reader.diagnostics();
	settings.spool_dir = reader.text("OAUTH_SPOOL_DIR").value_or(settings.spool_dir);
	if (!settings.spool_dir.starts_with('/'))
		diagnostics.error("OAUTH_SPOOL_DIR", "it must be an absolute path");
	settings.log_level = lower(reader.text("OAUTH_LOG_LEVEL").value_or(settings.log_level));
	if (std::ranges::find(kLogLevels, settings.log_level) == std::end(kLogLevels))
		diagnostics.error("OAUTH_LOG_LEVEL", "it must be debug, info, warning or error");
}

} // namespace

Loaded load(const Environment &environment, const std::string &directory)
{
	Loaded loaded;
	Diagnostics diagnostics;
	Variables variables(environment, directory, diagnostics);
	Config config = read_config(variables, directory, diagnostics);
	std::optional<TomlValue> providers = take(config.members, "providers");
	std::optional<TomlValue> api_tokens = take(config.members, "api_tokens");

	const SecretSources place{variables, directory, diagnostics, config.open_to_others};
	TableReader top(config.members, "", place);
	SettingReader reader(top, place);
	read_database(reader, loaded.settings);
	read_cache(reader, loaded.settings);
	read_server_settings(reader, loaded.settings);
	read_limits(reader, loaded.settings);
	read_rest(reader, loaded.settings);
	read_providers(reader, providers ? &*providers : nullptr, loaded.settings);
	read_api_tokens(reader, api_tokens ? &*api_tokens : nullptr, loaded.settings);
	top.report_unknown();
	variables.warn_of_unknown(diagnostics);

	loaded.errors = std::move(diagnostics.errors);
	loaded.settings.warnings = std::move(diagnostics.warnings);
	return loaded;
}

} // namespace sidecar::settings
