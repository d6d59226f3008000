#include "settings/setting_reader.hpp"

#include "base/text.hpp"
#include "settings/file.hpp"

namespace sidecar::settings
{

std::string toml_key(std::string_view setting)
{
	constexpr std::string_view kPrefix = "OAUTH_";
	if (setting.starts_with(kPrefix))
		setting.remove_prefix(kPrefix.size());
	return lower(setting);
}

std::optional<std::string> SettingReader::text(std::string_view setting)
{
	if (const std::string *variable = place_.variables.find(setting)) {
		top_.find(toml_key(setting));
		return checked(setting, *variable);
	}
	const std::optional<std::string> value = top_.scalar(toml_key(setting));
	return value ? checked(setting, *value) : std::nullopt;
}

std::optional<Secret> SettingReader::secret(std::string_view setting)
{
	const std::string by_file = std::string(setting) + "_FILE";
	const Environment *source = place_.variables.first_with(setting, by_file);
	if (source == nullptr)
		return top_.secret(toml_key(setting));
	top_.pass_over_secret(toml_key(setting));

	const auto value = source->find(setting);
	const auto path = source->find(by_file);
	if (value != source->end() && path != source->end()) {
		diagnostics().error(setting, "it is given twice; keep one of " + std::string(setting) +
										 " and " + by_file);
		return std::nullopt;
	}
	std::optional<Secret> secret;
	if (value != source->end())
		secret = Secret(trimmed(value->second));
	else if (trimmed(path->second).empty())
		diagnostics().error(by_file, "it is empty; name a file, or leave it out");
	else
		secret = read_secret_file(by_file, path->second, place_.directory, diagnostics());
	const std::string_view named = value != source->end() ? setting : by_file;
	if (secret && !check_secret(named, *secret, diagnostics()))
		secret.reset();
	return secret;
}

std::optional<std::string> SettingReader::checked(std::string_view setting,
												  std::string_view value) const
{
	value = trimmed(value);
	if (value.empty())
		diagnostics().error(setting, "it is empty; give it a value, or leave it out");
	else if (has_control_characters(value))
		diagnostics().error(setting, "it has control characters; it must be a single line");
	else
		return std::string(value);
	return std::nullopt;
}

std::optional<std::vector<std::string>> SettingReader::list(std::string_view setting)
{
	if (place_.variables.find(setting) == nullptr)
		return top_.list(toml_key(setting), ",");
	const std::optional<std::string> value = text(setting);
	return value ? std::optional(split(*value, ",")) : std::nullopt;
}

long long SettingReader::number(std::string_view setting, long long low, long long high,
								long long otherwise)
{
	const std::optional<std::string> value = text(setting);
	if (!value)
		return otherwise;
	if (const auto number = parse_number(*value, low, high))
		return *number;
	diagnostics().error(setting, "it must be a whole number from " + std::to_string(low) + " to " +
									 std::to_string(high));
	return otherwise;
}

bool SettingReader::flag(std::string_view setting, bool otherwise)
{
	const std::optional<std::string> value = text(setting);
	if (!value)
		return otherwise;
	const std::string word = lower(*value);
	if (word == "on" || word == "true")
		return true;
	if (word != "off" && word != "false")
		diagnostics().error(setting, "it must be on or off");
	return false;
}

std::string SettingReader::path(std::string_view setting, std::string_view otherwise)
{
	const std::optional<std::string> value = text(setting);
	return value ? resolved_path(*value, place_.directory) : std::string(otherwise);
}

} // namespace sidecar::settings
