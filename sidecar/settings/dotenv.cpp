#include "settings/dotenv.hpp"

#include <utility>

#include "base/text.hpp"
#include "common/secret_string.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// These return what is wrong, or null.

// `text` begins with the quote.
const char *read_quoted(std::string_view text, std::string &value)
{
	constexpr std::string_view kEscapes = "nrt\"\\$";
	constexpr std::string_view kMeanings = "\n\r\t\"\\$";
	const char quote = text.front();
	// Growing would leave pieces of a secret in freed memory.
	value.reserve(text.size());
	for (std::size_t i = 1; i < text.size(); i++) {
		if (text[i] == quote) {
			const std::string_view after = common::trim(text.substr(i + 1));
			return after.empty() || after.front() == '#'
					   ? nullptr
					   : "something follows the closing quote; put a # before a "
						 "comment";
		}
		if (quote == '\'' || text[i] != '\\') {
			value += text[i];
			continue;
		}
		if (++i == text.size())
			break;
		const std::size_t which = kEscapes.find(text[i]);
		if (which == kEscapes.npos)
			return "an unknown escape in double quotes; write \\\\ for a backslash";
		value += kMeanings[which];
	}
	return "a quote is not closed; close it on the same line, and write \\n for "
		   "a line break";
}

std::string_view without_comment(std::string_view text)
{
	for (std::size_t i = 0; i < text.size(); i++)
		if (text[i] == '#' && (i == 0 || common::is_white_space(text[i - 1])))
			return common::trim(text.substr(0, i));
	return text;
}

const char *read_line(std::string_view line, Environment &variables)
{
	constexpr std::string_view kExport = "export";
	line = common::trim(line);
	if (line.empty() || line.front() == '#')
		return nullptr;
	if (line.starts_with(kExport) && line.size() > kExport.size() &&
		common::is_white_space(line[kExport.size()]))
		line = common::trim(line.substr(kExport.size()));
	const std::size_t equals = line.find('=');
	const std::string_view name = common::trim(line.substr(0, equals));
	if (equals == line.npos || !is_variable_name(name))
		return "not of the form NAME=VALUE";
	std::string &value = variables[std::string(name)];
	common::wipe(value);
	const std::string_view text = common::trim(line.substr(equals + 1));
	if (text.starts_with('\'') || text.starts_with('"'))
		return read_quoted(text, value);
	value = without_comment(text);
	return nullptr;
}

} // namespace

Environment parse_dotenv(std::string_view text, Diagnostics &diagnostics)
{
	Environment variables;
	if (text.starts_with(kByteOrderMark))
		text.remove_prefix(kByteOrderMark.size());
	for (int number = 1; !text.empty(); number++) {
		const std::size_t end = std::min(text.find('\n'), text.size());
		const std::string_view line = text.substr(0, end);
		const char *wrong = line.find('\0') == line.npos
								? read_line(line, variables)
								: "a zero byte; is the file encoded in UTF-8?";
		if (wrong != nullptr)
			diagnostics.error(".env", "line " + std::to_string(number) + ": " + wrong);
		text.remove_prefix(std::min(end + 1, text.size()));
	}
	return variables;
}

} // namespace sidecar::settings
