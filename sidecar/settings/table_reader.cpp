#include "settings/table_reader.hpp"

#include <utility>

#include "base/text.hpp"
#include "settings/file.hpp"

namespace sidecar::settings
{

namespace
{

std::optional<std::string> as_text(const TomlValue &value)
{
	if (const auto *text = std::get_if<std::string>(&value.data))
		return *text;
	if (const auto *number = std::get_if<std::int64_t>(&value.data))
		return std::to_string(*number);
	if (const auto *flag = std::get_if<bool>(&value.data))
		return *flag ? "true" : "false";
	return std::nullopt;
}

std::optional<std::vector<std::string>> as_list(const TomlValue &value)
{
	const auto *array = std::get_if<std::vector<TomlValue>>(&value.data);
	if (array == nullptr)
		return std::nullopt;
	std::vector<std::string> texts;
	for (const TomlValue &element : *array) {
		const auto *text = std::get_if<std::string>(&element.data);
		if (text == nullptr || trimmed(*text).empty())
			return std::nullopt;
		texts.push_back(*text);
	}
	return texts;
}

} // namespace

bool check_secret(std::string_view setting, const Secret &secret, Diagnostics &diagnostics)
{
	if (trimmed(secret.reveal()).empty())
		diagnostics.error(setting, "it is empty; give it a value, or leave it out");
	else if (has_control_characters(secret.reveal()))
		diagnostics.error(setting, "it has control characters; it must be a single line");
	else
		return true;
	return false;
}

TableReader::TableReader(TomlTable &table, std::string prefix, SecretSources place)
	: table_(table), prefix_(std::move(prefix)), place_(place)
{
}

void TableReader::error(std::string_view key, std::string_view message) const
{
	place_.diagnostics.error(name_of(key), message);
}

bool TableReader::has(std::string_view key) const
{
	for (const TomlMember &member : table_)
		if (member.key == key)
			return true;
	return false;
}

TomlValue *TableReader::find(std::string_view key)
{
	known_.emplace_back(key);
	for (TomlMember &member : table_)
		if (member.key == key)
			return &member.value;
	return nullptr;
}

std::optional<std::string> TableReader::text(std::string_view key)
{
	const TomlValue *value = find(key);
	if (value == nullptr)
		return std::nullopt;
	const auto *text = std::get_if<std::string>(&value->data);
	if (text == nullptr)
		error(key, "it must be a text in quotes");
	else if (trimmed(*text).empty())
		error(key, "it is empty; give it a value, or leave it out");
	else if (has_control_characters(*text))
		error(key, "it has control characters; it must be a single line");
	else
		return *text;
	return std::nullopt;
}

std::optional<bool> TableReader::flag(std::string_view key)
{
	const TomlValue *value = find(key);
	if (value == nullptr)
		return std::nullopt;
	if (const auto *flag = std::get_if<bool>(&value->data))
		return *flag;
	error(key, "it must be true or false, without quotes");
	return std::nullopt;
}

std::optional<long long> TableReader::number(std::string_view key, long long low, long long high)
{
	const TomlValue *value = find(key);
	if (value == nullptr)
		return std::nullopt;
	const auto *number = std::get_if<std::int64_t>(&value->data);
	if (number != nullptr && *number >= low && *number <= high)
		return *number;
	error(key, "it must be a whole number from " + std::to_string(low) + " to " +
				   std::to_string(high) + ", without quotes");
	return std::nullopt;
}

std::optional<std::string> TableReader::scalar(std::string_view key)
{
	const TomlValue *value = find(key);
	if (value == nullptr)
		return std::nullopt;
	std::optional<std::string> text = as_text(*value);
	if (!text)
		error(key, "it must be a text in quotes");
	return text;
}

std::optional<std::vector<std::string>> TableReader::list(std::string_view key,
														  std::string_view separators)
{
	const TomlValue *value = find(key);
	if (value == nullptr)
		return std::nullopt;
	if (const auto *text = std::get_if<std::string>(&value->data))
		return split(*text, separators);
	if (auto texts = as_list(*value))
		return texts;
	error(key, "it must be an array of texts, [\"…\", \"…\"], none of them empty");
	return std::nullopt;
}

oauth::Pairs TableReader::pairs(std::string_view key)
{
	oauth::Pairs pairs;
	const TomlValue *value = find(key);
	if (value == nullptr)
		return pairs;
	const auto *table = std::get_if<TomlTable>(&value->data);
	if (table == nullptr) {
		error(key, "it must be a table, { name = \"value\" }");
		return pairs;
	}
	for (const TomlMember &member : *table)
		if (const auto text = as_text(member.value); text && !has_control_characters(*text))
			pairs.emplace_back(member.key, *text);
		else
			error(std::string(key) + "." + shown_name(member.key), "it must be a text on one line");
	return pairs;
}

std::optional<std::string> TableReader::variable(std::string_view key)
{
	const std::optional<std::string> name = text(key);
	if (!name)
		return std::nullopt;
	if (!is_variable_name(*name))
		error(key, "it must be the name of an environment variable, not a value");
	else if (const std::string *value = place_.variables.find(*name))
		return *value;
	else
		error(key, "the environment variable that it names is not set");
	return std::nullopt;
}

std::optional<Secret> TableReader::secret(std::string_view key)
{
	const std::string by_variable = std::string(key) + "_env";
	const std::string by_file = std::string(key) + "_file";
	const bool has_value = has(key), has_variable = has(by_variable), has_file = has(by_file);
	if (has_value + has_variable + has_file > 1) {
		error(key, "it is given more than once; keep one of " + std::string(key) + ", " +
					   by_variable + " and " + by_file);
		pass_over_secret(key);
		return std::nullopt;
	}

	std::optional<Secret> secret;
	std::optional<std::string> given = text(key);
	std::optional<std::string> of_variable = variable(by_variable);
	if (given)
		secret = Secret::take(*given);
	if (given && place_.open_to_others)
		place_.diagnostics.warn(
			name_of(key), "it stands in a file that group or others can read; chmod it to 600");
	if (of_variable)
		secret = Secret::take(*of_variable);
	if (const auto path = text(by_file))
		secret = read_secret_file(name_of(by_file), *path, place_.directory, place_.diagnostics);
	const std::string_view named = has_file ? by_file : has_variable ? by_variable : key;
	if (secret && !check_secret(name_of(named), *secret, place_.diagnostics))
		secret.reset();
	return secret;
}

void TableReader::pass_over_secret(std::string_view key)
{
	for (const char *suffix : {"", "_env", "_file"})
		known_.push_back(std::string(key) + suffix);
}

std::optional<std::string> TableReader::text_or_variable(std::string_view key)
{
	const std::string by_variable = std::string(key) + "_env";
	if (has(key) && has(by_variable))
		error(key, "it is given twice; keep one of " + std::string(key) + " and " + by_variable);
	std::optional<std::string> given = text(key);
	std::optional<std::string> of_variable = variable(by_variable);
	if (of_variable && (of_variable->empty() || has_control_characters(*of_variable))) {
		error(by_variable, "the environment variable that it names is empty or not a single line");
		of_variable.reset();
	}
	return given ? given : of_variable;
}

void TableReader::report_unknown() const
{
	for (const TomlMember &member : table_) {
		bool known = false;
		for (const std::string &key : known_)
			known = known || key == member.key;
		if (!known)
			error(shown_name(member.key), "no such key" + nearest_hint(member.key, known_));
	}
}

} // namespace sidecar::settings
