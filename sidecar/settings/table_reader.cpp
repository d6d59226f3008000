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
	if (const auto *number = node.as_integer())
		return std::to_string(number->get());
	if (const auto *flag = node.as_boolean())
		return flag->get() ? "true" : "false";
	return node.value_exact<std::string>();
}

} // namespace

void TableReader::error(std::string_view key, std::string_view message) const
{
	sources_.diagnostics.error(prefix_ + std::string(key), message);
}

void TableReader::warn(std::string_view key, std::string_view message) const
{
	sources_.diagnostics.warn(prefix_ + std::string(key), message);
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
	const auto *text = of_kind<std::string>(key, "it must be a text in quotes");
	if (text == nullptr)
		return std::nullopt;
	const std::string_view wrong = line_error(text->get());
	if (wrong.empty())
		return text->get();
	error(key, wrong);
	return std::nullopt;
}

std::optional<int> TableReader::number(std::string_view key, int low, int high)
{
	const std::string wanted = "it must be a whole number from " + std::to_string(low) + " to " +
							   std::to_string(high) + ", without quotes";
	const auto *number = of_kind<std::int64_t>(key, wanted);
	if (number == nullptr)
		return std::nullopt;
	if (number->get() >= low && number->get() <= high)
		return static_cast<int>(number->get());
	error(key, wanted);
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
	std::vector<std::string> texts;
	const toml::array *array = node->as_array();
	for (std::size_t i = 0; array != nullptr && i < array->size(); i++)
		texts.push_back(array->get(i)->value_exact<std::string>().value_or(""));
	if (array != nullptr &&
		std::ranges::none_of(texts, [](auto &text) { return common::trim(text).empty(); }))
		return texts;
	error(key, "it must be an array of texts, [\"…\", \"…\"], none of them empty");
	return std::nullopt;
}

oauth::Pairs TableReader::pairs(std::string_view key)
{
	oauth::Pairs pairs;
	const toml::table none;
	const toml::table *table =
		of_kind<toml::table>(key, "it must be a table, { name = \"value\" }");
	for (auto &&[name, member] : table == nullptr ? none : *table)
		if (const auto text = as_text(member); text && !has_control_characters(*text))
			pairs.emplace_back(name.str(), *text);
		else
			error(std::string(key) + "." + shown_name(name.str()), "it must be a text on one line");
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

std::optional<common::Secret> TableReader::secret(std::string_view key)
{
	const std::string by_variable = std::string(key) + "_env";
	const std::string by_file = std::string(key) + "_file";
	if (has(key) + has(by_variable) + has(by_file) > 1) {
		error(key, "it is given more than once; keep one of " + std::string(key) + ", " +
					   by_variable + " and " + by_file);
		pass_over_secret(key);
		return std::nullopt;
	}
	if (std::optional<std::string> given = text(key)) {
		if (sources_.toml_is_open)
			warn(key, "it stands in a file that group or others can read; chmod it to 600");
		return common::Secret::take(*given);
	}
	if (std::optional<std::string> value = variable(by_variable))
		return checked_line(prefix_ + by_variable, common::Secret::take(*value),
							sources_.diagnostics);
	if (const auto path = text(by_file))
		return read_secret_file(prefix_ + by_file, *path, sources_.directory, sources_.diagnostics);
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
