#include "settings/dotenv.hpp"

#include <utility>

#include "base/text.hpp"
#include "common/secret_string.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// One line, read from left to right.
class Line
{
public:
	explicit Line(std::string_view text) : rest_(trimmed(text)) {}

	bool empty() const noexcept { return rest_.empty() || rest_.front() == '#'; }

	std::string_view read_name() noexcept
	{
		constexpr std::string_view kExport = "export";
		if (rest_.starts_with(kExport) && rest_.size() > kExport.size() &&
			is_space(rest_[kExport.size()]))
			rest_ = trimmed(rest_.substr(kExport.size()));
		const std::size_t equals = rest_.find('=');
		if (equals == rest_.npos)
			return {};
		const std::string_view name = trimmed(rest_.substr(0, equals));
		rest_ = trimmed(rest_.substr(equals + 1));
		return is_variable_name(name) ? name : std::string_view{};
	}

	// Null where all is well, or what is wrong with the value.
	const char *read_value(std::string &value)
	{
		if (rest_.empty())
			return nullptr;
		if (rest_.front() == '\'')
			return read_single_quoted(value);
		if (rest_.front() == '"')
			return read_double_quoted(value);
		for (std::size_t i = 0; i < rest_.size(); i++)
			if (rest_[i] == '#' && (i == 0 || is_space(rest_[i - 1]))) {
				rest_ = trimmed(rest_.substr(0, i));
				break;
			}
		value = rest_;
		return nullptr;
	}

private:
	static constexpr const char *kUnclosed =
		"a quote is not closed; close it on the same line, and write \\n for a line break";

	const char *read_single_quoted(std::string &value)
	{
		const std::size_t end = rest_.find('\'', 1);
		if (end == rest_.npos)
			return kUnclosed;
		value = rest_.substr(1, end - 1);
		return check_end(end + 1);
	}

	const char *read_double_quoted(std::string &value)
	{
		// Growing would leave pieces of a secret in freed memory.
		value.reserve(rest_.size());
		for (std::size_t i = 1; i < rest_.size(); i++) {
			if (rest_[i] == '"')
				return check_end(i + 1);
			if (rest_[i] != '\\') {
				value += rest_[i];
				continue;
			}
			if (++i == rest_.size())
				break;
			constexpr std::string_view kEscapes = "nrt\"\\$";
			constexpr std::string_view kMeanings = "\n\r\t\"\\$";
			const std::size_t which = kEscapes.find(rest_[i]);
			if (which == kEscapes.npos)
				return "an unknown escape in double quotes; write \\\\ for a backslash";
			value += kMeanings[which];
		}
		return kUnclosed;
	}

	const char *check_end(std::size_t end)
	{
		const std::string_view after = trimmed(rest_.substr(end));
		return after.empty() || after.front() == '#'
				   ? nullptr
				   : "something follows the closing quote; put a # before a comment";
	}

	std::string_view rest_;
};

const char *read_line(std::string_view text, Environment &variables)
{
	Line line(text);
	if (line.empty())
		return nullptr;
	const std::string_view name = line.read_name();
	if (name.empty())
		return "not of the form NAME=VALUE";
	std::string &value = variables[std::string(name)];
	sidecar::wipe(value);
	return line.read_value(value);
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
