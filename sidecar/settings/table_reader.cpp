#include "settings/table_reader.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "settings/file.hpp"

namespace sidecar::settings
{

namespace
{

std::optional<std::string> as_text(const toml::node &node)
{
	if (const auto *text = node.as_string())
		return text->get();
	if (const auto *number = node.as_integer())
		return std::to_string(number->get());
	if (const auto *flag = node.as_boolean())
		return flag->get() ? "true" : "false";
	return std::nullopt;
}

std::optional<std::vector<std::string>> as_list(const toml::node &node)
{
	const toml::array *array = node.as_array();
	if (array == nullptr)
		return std::nullopt;
	std::vector<std::string> texts;
	for (const toml::node &element : *array) {
		const auto *text = element.as_string();
		if (text == nullptr || trimmed(text->get()).empty())
			return std::nullopt;
		texts.push_back(text->get());
	}
	return texts;
}

} // namespace

void TableReader::error(std::string_view key, std::string_view message) const
{
	sources_.diagnostics.error(name_of(key), message);
}

void TableReader::warn(std::string_view key, std::string_view message) const
{
	sources_.diagnostics.warn(name_of(key), message);
}

bool TableReader::has_any_form(std::string_view key) const
{
	const std::string name(key);
	return has(name) || has(name + "_env") || has(name + "_file");
}

toml::node *TableReader::find(std::string_view key)
{
	known_.emplace_back(key);
	return table_.get(key);
}

std::optional<std::string> TableReader::text(std::string_view key)
{
	const toml::node *node = find(key);
	if (node == nullptr)
		return std::nullopt;
	const auto *text = node->as_string();
	if (text == nullptr)
		error(key, "it must be a text in quotes");
	else if (const std::string_view wrong = line_error(text->get()); !wrong.empty())
		error(key, wrong);
	else
		return text->get();
	return std::nullopt;
}

std::optional<bool> TableReader::flag(std::string_view key)
{
	const toml::node *node = find(key);
	if (node == nullptr)
		return std::nullopt;
	if (const auto *flag = node->as_boolean())
		return flag->get();
	error(key, "it must be true or false, without quotes");
	return std::nullopt;
}

std::optional<int> TableReader::number(std::string_view key, int low, int high)
{
	const toml::node *node = find(key);
	if (node == nullptr)
		return std::nullopt;
	const auto *number = node->as_integer();
	if (number != nullptr && number->get() >= low && number->get() <= high)
		return static_cast<int>(number->get());
	error(key, "it must be a whole number from " + std::to_string(low) + " to " +
				   std::to_string(high) + ", without quotes");
	return std::nullopt;
}

std::optional<std::string> TableReader::scalar(std::string_view key)
{
	const toml::node *node = find(key);
	if (node == nullptr)
		return std::nullopt;
	std::optional<std::string> text = as_text(*node);
	if (!text)
		error(key, "it must be a text in quotes");
	return text;
}

std::optional<std::vector<std::string>> TableReader::list(std::string_view key,
														  std::string_view separators)
{
	const toml::node *node = find(key);
	if (node == nullptr)
		return std::nullopt;
	if (const auto *text = node->as_string())
		return split(text->get(), separators);
	if (auto texts = as_list(*node))
		return texts;
	error(key, "it must be an array of texts, [\"…\", \"…\"], none of them empty");
	return std::nullopt;
}

oauth::Pairs TableReader::pairs(std::string_view key)
{
	oauth::Pairs pairs;
	const toml::node *node = find(key);
	if (node == nullptr)
		return pairs;
	if (!node->is_table())
		error(key, "it must be a table, { name = \"value\" }");
	else
		for (auto &&[name, member] : *node->as_table())
			if (const auto text = as_text(member); text && !has_control_characters(*text))
				pairs.emplace_back(name.str(), *text);
			else
				error(std::string(key) + "." + shown_name(name.str()),
					  "it must be a text on one line");
	return pairs;
}

void TableReader::read(std::string_view key, std::string &to)
{
	if (auto given = text(key))
		to = std::move(*given);
}

void TableReader::read(std::string_view key, std::vector<std::string> &to)
{
	if (auto given = list(key))
		to = std::move(*given);
}

std::optional<std::string> TableReader::variable(std::string_view key)
{
	const std::optional<std::string> name = text(key);
	if (!name)
		return std::nullopt;
	if (!is_variable_name(*name))
		error(key, "it must be the name of an environment variable, not a value");
	else if (const std::string *value = sources_.variable(*name))
		return *value;
	else
		error(key, "the environment variable that it names is not set");
	return std::nullopt;
}

std::optional<Secret> TableReader::secret(std::string_view key)
{
	const std::string by_variable = std::string(key) + "_env";
	const std::string by_file = std::string(key) + "_file";
	if (has(key) + has(by_variable) + has(by_file) > 1) {
		error(key, "it is given more than once; keep one of " + std::string(key) + ", " +
					   by_variable + " and " + by_file);
		pass_over_secret(key);
		return std::nullopt;
	}
	std::optional<std::string> given = text(key);
	if (given && sources_.toml_is_open)
		warn(key, "it stands in a file that group or others can read; chmod it to 600");
	if (given)
		return Secret::take(*given);
	if (std::optional<std::string> value = variable(by_variable))
		return checked_line(name_of(by_variable), Secret::take(*value), sources_.diagnostics);
	if (const auto path = text(by_file))
		return read_secret_file(name_of(by_file), *path, sources_.directory, sources_.diagnostics);
	return std::nullopt;
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
	for (auto &&[key, value] : table_)
		if (std::ranges::find(known_, key.str()) == known_.end())
			error(shown_name(key.str()), "no such key" + nearest_hint(key.str(), known_));
}

} // namespace sidecar::settings
