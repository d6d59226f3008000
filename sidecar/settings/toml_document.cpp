#include "settings/toml_document.hpp"

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <utility>

#include "common/secret_string.hpp"

namespace sidecar::settings
{

namespace
{

TomlTable converted(toml::table &table);

std::vector<TomlValue> converted(toml::array &array);

// Leaves wiped strings behind: the parser's tree would only free them.
TomlValue converted(toml::node &node)
{
	TomlValue value;
	if (auto *text = node.as_string()) {
		value.data = text->get();
		sidecar::wipe(text->get());
	} else if (auto *number = node.as_integer()) {
		value.data = number->get();
	} else if (auto *flag = node.as_boolean()) {
		value.data = flag->get();
	} else if (auto *real = node.as_floating_point()) {
		value.data = real->get();
	} else if (auto *array = node.as_array()) {
		value.data = converted(*array);
	} else if (auto *table = node.as_table()) {
		value.data = converted(*table);
	}
	return value;
}

std::vector<TomlValue> converted(toml::array &array)
{
	std::vector<TomlValue> values;
	values.reserve(array.size());
	for (toml::node &node : array)
		values.push_back(converted(node));
	return values;
}

TomlTable converted(toml::table &table)
{
	TomlTable members;
	members.reserve(table.size());
	for (auto &&[key, node] : table)
		members.push_back({std::string(key.str()), converted(node)});
	return members;
}

} // namespace

TomlValue::~TomlValue()
{
	if (auto *text = std::get_if<std::string>(&data))
		sidecar::wipe(*text);
}

std::optional<TomlTable> parse_toml(std::string &text, std::string_view setting,
									Diagnostics &diagnostics)
{
	// The parser's own message may quote the line.
	toml::parse_result result = toml::parse(std::string_view(text));
	sidecar::wipe(text);
	if (!result) {
		const toml::source_position at = result.error().source().begin;
		diagnostics.error(setting,
						  "the file is not TOML: look at line " + std::to_string(at.line) +
							  ", column " + std::to_string(at.column) +
							  " for a missing quote or bracket, or a key that is there twice");
		return std::nullopt;
	}
	return converted(result.table());
}

} // namespace sidecar::settings
