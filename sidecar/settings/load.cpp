#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "base/text.hpp"
#include "cache_entry/key_template.hpp"
#include "settings/file.hpp"
#include "settings/settings.hpp"
#include "settings/special_settings.hpp"

namespace sidecar::settings
{

namespace
{

// Of environment or .env, which has the setting.
std::optional<common::Secret> of_variable(const Setting &setting, const Environment &source,
										  const Sources &sources)
{
	const std::string by_file = setting.file_name();
	const auto value = source.find(setting.name);
	const auto path = setting.kind == Kind::secret ? source.find(by_file) : source.end();
	if (value != source.end() && path != source.end())
		sources.diagnostics.error(setting.name, "it is given twice; keep one of " +
													std::string(setting.name) + " and " + by_file);
	else if (value != source.end())
		return checked_line(setting.name, common::Secret(common::trim(value->second)),
							sources.diagnostics);
	else if (common::trim(path->second).empty())
		sources.diagnostics.error(by_file, "it is empty; name a file, or leave it out");
	else
		return read_secret_file(by_file, path->second, sources.directory, sources.diagnostics);
	return std::nullopt;
}

std::optional<common::Secret> of_toml(const Setting &setting, TableReader &top)
{
	const std::string key = setting.toml_key();
	if (setting.kind == Kind::secret)
		return top.secret(key);
	std::optional<std::string> text;
	if (setting.kind == Kind::plain)
		text = top.scalar(key);
	else if (const auto parts = top.list(key, ","); parts && !parts->empty())
		text = fmt::format("{}", fmt::join(*parts, ","));
	if (!text)
		return std::nullopt;
	return checked_line(setting.name, common::Secret(common::trim(*text)),
						top.sources().diagnostics);
}

// From the environment, .env or the TOML file, in this order. Nothing if none of them has
// it, or if it is wrong, which is an error.
std::optional<common::Secret> value_of(const Setting &setting, TableReader &top)
{
	const Sources &sources = top.sources();
	const bool is_secret = setting.kind == Kind::secret;
	const Environment *source = sources.first_with(
		setting.name, is_secret ? setting.file_name() : std::string(setting.name));
	if (source == nullptr)
		return of_toml(setting, top);
	// Weaker sources are ignored.
	if (is_secret)
		top.pass_over_secret(setting.toml_key());
	else
		top.find(setting.toml_key());
	return of_variable(setting, *source, sources);
}

void read_setting(const Setting &setting, TableReader &top, Settings &settings)
{
	const auto read = [&](common::Secret value) {
		Given given{setting.name, std::move(value), settings, top.sources()};
		setting.read(given);
	};
	if (!setting.default_value.empty() && !setting.default_value.starts_with('('))
		read(common::Secret(setting.default_value));
	if (auto value = value_of(setting, top))
		read(std::move(*value));
}

// What the cache's settings must be together.
void check_cache(const Cache &cache, Diagnostics &diagnostics)
{
	constexpr std::string_view kTemplate = "OAUTH_CACHE_KEY_TEMPLATE";
	const bool has_template = !cache.key_template.empty();
	if (const auto wrong = cache_entry::KeyTemplate::error(cache.key_template, cache.prefix))
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
		if (setting.read != nullptr)
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
