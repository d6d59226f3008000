#include "redaction/statement_text.hpp"

#include "common/ascii.hpp"

#include <algorithm>
#include <optional>

namespace oauth_tokens
{

namespace
{

// In a U&"" a character takes eight at most.
constexpr std::size_t kMaxEscapedBytes = 8 * Name{}.bytes.size();

using common::equal_ignoring_case;
using common::is_digit;
using common::is_letter;
using common::to_lower;

// '$' can be in a name of PostgreSQL's, but not in one of ours, and it begins a string
// that may touch the name.
bool is_name_byte(char byte) noexcept
{
	return is_letter(byte) || is_digit(byte) || byte == '_' ||
		   static_cast<unsigned char>(byte) >= 0x80;
}

// The sought name that this one is; empty: it is none.
std::string_view sought(std::string_view name, std::string_view also) noexcept
{
	// All of ours begin with one of two letters, and most names do not.
	const char first = name.empty() ? ' ' : to_lower(name.front());
	if (first == 'o' || first == 'f')
		for (const std::string_view known : public_names)
			if (equal_ignoring_case(name, known))
				return known;
	while (!also.empty()) {
		const std::size_t end = also.find('\n');
		if (equal_ignoring_case(name, also.substr(0, end)))
			return also.substr(0, end);
		also.remove_prefix(end + 1);
	}
	return {};
}

// Whether the text before a name says that it is hide_activity()'s.
bool is_in_placeholder(std::string_view before) noexcept
{
	return before.ends_with(placeholder_begin);
}

std::size_t end_of_name(std::string_view text, std::size_t at) noexcept
{
	while (at < text.size() && is_name_byte(text[at]))
		at++;
	return at;
}

// Each of our own names has an underscore, which memchr finds faster than any loop
// finds a name.
std::string_view find_ours(std::string_view text) noexcept
{
	std::size_t done = 0;
	for (;;) {
		const std::size_t at = text.find('_', done);
		if (at == text.npos)
			return {};
		std::size_t begin = at;
		while (begin > done && is_name_byte(text[begin - 1]))
			begin--;
		const std::size_t end = end_of_name(text, at);
		const std::string_view found = sought(text.substr(begin, end - begin), {});
		if (!found.empty() && !is_in_placeholder(text.substr(0, begin)))
			return found;
		done = end;
	}
}

std::string_view find_any(std::string_view text, std::string_view also) noexcept
{
	for (std::size_t at = 0; at < text.size();) {
		const std::size_t end = end_of_name(text, at);
		const std::string_view found = sought(text.substr(at, end - at), also);
		if (!found.empty() && !is_in_placeholder(text.substr(0, at)))
			return found;
		at = std::max(end, at + 1);
	}
	return {};
}

// Comments nest.
std::size_t end_of_comment(std::string_view text) noexcept
{
	std::size_t depth = 1;
	std::size_t at = 2;
	while (depth > 0 && at < text.size()) {
		const std::string_view two = text.substr(at, 2);
		depth += two == "/*";
		depth -= two == "*/";
		at += two == "/*" || two == "*/" ? 2 : 1;
	}
	return at;
}

void skip_space(std::string_view &text) noexcept
{
	for (;;) {
		const std::size_t begin = text.find_first_not_of(" \t\r\n\f\v");
		text.remove_prefix(std::min(begin, text.size()));
		if (text.starts_with("--"))
			text.remove_prefix(std::min(text.find_first_of("\r\n"), text.size()));
		else if (text.starts_with("/*"))
			text.remove_prefix(end_of_comment(text));
		else
			return;
	}
}

// The code point in the hexadecimal digits that the text begins with.
std::optional<unsigned> code_point(std::string_view digits, std::size_t count) noexcept
{
	unsigned value = 0;
	if (digits.size() < count)
		return {};
	for (const char digit : digits.substr(0, count)) {
		const std::size_t nibble = std::string_view{"0123456789abcdef"}.find(to_lower(digit));
		if (nibble == std::string_view::npos)
			return {};
		value = value * 16 + static_cast<unsigned>(nibble);
	}
	return value;
}

// The name that the inside of a U&"" stands for; two quotes stand for one. Characters outside of
// ASCII are in no sought name that matters here, and become '?'.
Name decoded(std::string_view inside, char escape) noexcept
{
	Name name;
	for (std::size_t at = 0; at < inside.size();) {
		if (inside[at] != escape) {
			name.append(inside[at]);
			at += inside.substr(at, 2) == "\"\"" ? 2 : 1;
			continue;
		}
		const bool is_long = inside.substr(at + 1).starts_with('+');
		const std::size_t digits = is_long ? 6 : 4;
		const std::size_t begin = at + (is_long ? 2 : 1);
		const auto character = code_point(inside.substr(std::min(begin, inside.size())), digits);
		if (!character) {
			name.append(escape); // doubled, or not valid
			at += 2;
			continue;
		}
		name.append(*character < 0x80 ? static_cast<char>(*character) : '?');
		at = begin + digits;
	}
	return name;
}

// Calls `visit` with each name that the inside of a U&"" may stand for, until it returns
// true. What UESCAPE sets, a string in any form, is not read: it may be any character.
template <typename Visit>
bool any_decoded(std::string_view inside, Visit visit) noexcept
{
	inside = inside.substr(0, kMaxEscapedBytes);
	Name name = decoded(inside, '\\');
	if (visit(name))
		return true;
	for (std::size_t at = 0; at < inside.size(); at++) {
		if (inside.find(inside[at]) != at)
			continue;
		name = decoded(inside, inside[at]);
		if (visit(name))
			return true;
	}
	return false;
}

std::string_view find_escaped(std::string_view text, std::string_view also) noexcept
{
	for (std::size_t at = text.find("&\""); at != text.npos; at = text.find("&\"", at + 1)) {
		if (at == 0 || to_lower(text[at - 1]) != 'u')
			continue;
		const std::string_view rest = text.substr(at + 2);
		std::string_view found;
		any_decoded(rest.substr(0, rest.find('"')), [&](const Name &name) {
			found = sought(name.text(), also);
			return !found.empty();
		});
		if (!found.empty())
			return found;
	}
	return {};
}

// What is inside of the quotes whose first one is before the text.
std::string_view quoted(std::string_view text) noexcept
{
	std::size_t end = text.find('"');
	while (end != text.npos && text.substr(end + 1).starts_with('"'))
		end = text.find('"', end + 2);
	return text.substr(0, end);
}

// The same for the name that the text begins with.
template <typename Visit>
bool any_name(std::string_view text, Visit visit) noexcept
{
	if (equal_ignoring_case(text.substr(0, 3), "u&\""))
		return any_decoded(quoted(text.substr(3)), visit);
	if (text.starts_with('"')) {
		Name name = decoded(quoted(text.substr(1)), '\0');
		return visit(name);
	}
	Name name;
	for (std::size_t at = 0; at < text.size() && (is_name_byte(text[at]) || text[at] == '$'); at++)
		name.append(to_lower(text[at]));
	return visit(name);
}

constexpr std::string_view kExecute = "execute";

// Whether the character is the second one of that word.
bool is_execute(std::string_view text, std::size_t at) noexcept
{
	if (at == 0 || (at > 1 && is_name_byte(text[at - 2])))
		return false;
	const std::size_t begin = at - 1;
	return equal_ignoring_case(text.substr(begin, kExecute.size()), kExecute) &&
		   end_of_name(text, begin) == begin + kExecute.size();
}

} // namespace

bool is_name(std::string_view text) noexcept
{
	return !text.empty() && text.size() < Name{}.bytes.size() &&
		   end_of_name(text, 0) == text.size();
}

std::string_view named_function(std::string_view text, std::string_view also) noexcept
{
	const std::string_view plain = also.empty() ? find_ours(text) : find_any(text, also);
	return plain.empty() ? find_escaped(text, also) : plain;
}

bool has_constant(std::string_view text) noexcept
{
	if (text.find('\'') != text.npos)
		return true;
	char before = ' ';
	for (std::size_t at = 0; at < text.size(); before = text[at++]) {
		const bool is_number = is_digit(text[at]) && before != '$' && !is_name_byte(before);
		// $1 is a parameter, $$ and $tag$ begin a string.
		const bool is_dollar_quote = before == '$' && !is_digit(text[at]);
		if (is_number || is_dollar_quote)
			return true;
	}
	return false;
}

// Every statement pays for this, few have an 'x', and memchr finds it faster than any loop finds
// a name.
bool any_executed(std::string_view text, bool (*visit)(Name &, void *), void *context) noexcept
{
	std::size_t lower = text.find('x');
	std::size_t upper = text.find('X');
	while (lower != upper) { // both npos: no more
		const std::size_t at = std::min(lower, upper);
		std::size_t &next = at == lower ? lower : upper;
		next = text.find(text[at], at + 1);
		if (!is_execute(text, at))
			continue;
		std::string_view name = text.substr(at + kExecute.size() - 1);
		skip_space(name);
		if (any_name(name, [=](Name &found) { return visit(found, context); }))
			return true;
	}
	return false;
}

} // namespace oauth_tokens
