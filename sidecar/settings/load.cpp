#include <utility>

#include "cache_entry/key_template.hpp"
#include "settings/api_tokens.hpp"
#include "settings/providers.hpp"
#include "settings/server_settings.hpp"
#include "settings/setting_reader.hpp"
#include "settings/settings.hpp"
#include "settings/settings_table.hpp"

namespace sidecar::settings
{

namespace
{

void read_setting(const Setting &setting, TableReader &top, Settings &settings)
{
	if (setting.read == nullptr)
		return;
	const auto store = [&](Secret value) {
		Given given{setting.name, std::move(value), settings, top.sources()};
		setting.read(given);
	};
	if (!setting.default_value.empty() && !setting.default_value.starts_with('('))
		store(Secret(setting.default_value));
	if (auto value = value_of(setting, top))
		store(std::move(*value));
}

// What the cache's settings must be together.
void check_cache(const Cache &cache, Diagnostics &diagnostics)
{
	constexpr std::string_view kTemplate = "OAUTH_CACHE_KEY_TEMPLATE";
	const bool has_template = !cache.key_template.empty();
	if (const auto wrong = cache::KeyTemplate::error(cache.key_template, cache.prefix))
		diagnostics.error(has_template ? kTemplate : "OAUTH_CACHE_PREFIX", *wrong);
	if (has_template && !cache.key.empty())
		diagnostics.error(kTemplate, "with OAUTH_CACHE_KEY other services cannot read the entries; "
									 "keep one of the two");
	if (has_template && !cache.refresh_token)
		diagnostics.warn(kTemplate,
						 "a service that takes an entry for the whole grant, as the Python "
						 "service does, finds no refresh token in it and stores the grant "
						 "without one; set OAUTH_CACHE_REFRESH_TOKEN=on for such a service");
}

} // namespace

Loaded load(const Environment &environment, const std::string &directory)
{
	Loaded loaded;
	Settings &settings = loaded.settings;
	Diagnostics diagnostics;
	Sources sources(environment, directory, diagnostics);
	TableReader top(sources.toml, "", sources);
	for (const Setting &setting : settings_table())
		read_setting(setting, top, settings);
	if (settings.database_url.empty() && !diagnostics.has_error("DATABASE_URL"))
		diagnostics.error("DATABASE_URL", "it is missing; it is like "
										  "postgresql://user:password@host:5432/database");
	check_cache(settings.cache, diagnostics);
	check_server(settings, diagnostics);
	read_providers(top, settings);
	read_token_blocks(sources, settings);
	top.report_unknown();
	sources.warn_of_unknown();

	loaded.errors = std::move(diagnostics.errors);
	settings.warnings = std::move(diagnostics.warnings);
	return loaded;
}

} // namespace sidecar::settings
