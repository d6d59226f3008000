#include "settings/setting_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.hpp"
#include "settings/file.hpp"

namespace sidecar::settings
{

namespace
{

// Of environment or .env, which has the setting.
std::optional<Secret> of_variable(const Setting &setting, const Environment &source,
								  const Sources &sources)
{
	const std::string by_file = setting.file_name();
	const auto value = source.find(setting.name);
	const auto path = setting.kind == Kind::secret ? source.find(by_file) : source.end();
	if (value != source.end() && path != source.end())
		sources.diagnostics.error(setting.name, "it is given twice; keep one of " +
													std::string(setting.name) + " and " + by_file);
	else if (value != source.end())
		return checked_line(setting.name, Secret(trimmed(value->second)), sources.diagnostics);
	else if (trimmed(path->second).empty())
		sources.diagnostics.error(by_file, "it is empty; name a file, or leave it out");
	else
		return read_secret_file(by_file, path->second, sources.directory, sources.diagnostics);
	return std::nullopt;
}

std::optional<Secret> of_toml(const Setting &setting, TableReader &top)
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
	return checked_line(setting.name, Secret(trimmed(*text)), top.sources().diagnostics);
}

} // namespace

std::optional<Secret> value_of(const Setting &setting, TableReader &top)
{
	const Sources &sources = top.sources();
	const bool is_secret = setting.kind == Kind::secret;
	const Environment *source = sources.first_with(
		setting.name, is_secret ? setting.file_name() : std::string(setting.name));
	if (source == nullptr)
		return of_toml(setting, top);
	// What is weaker is not even looked at.
	if (is_secret)
		top.pass_over_secret(setting.toml_key());
	else
		top.find(setting.toml_key());
	return of_variable(setting, *source, sources);
}

} // namespace sidecar::settings
