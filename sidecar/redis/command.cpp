#include "redis/command.hpp"

#include <charconv>

namespace sidecar::redis
{

namespace
{

constexpr std::size_t kAround = 16; // bytes for a word's length and line ends

void append_number(Buffer &out, char mark, std::size_t number)
{
	char digits[24] = {mark};
	char *end = std::to_chars(digits + 1, digits + sizeof digits, number).ptr;
	*end++ = '\r';
	*end++ = '\n';
	out.append({digits, static_cast<std::size_t>(end - digits)});
}

} // namespace

Command::Command(std::initializer_list<std::string_view> words)
{
	std::size_t bytes = 0;
	for (const std::string_view word : words)
		bytes += word.size() + kAround;
	body_.reserve(bytes);
	for (const std::string_view word : words)
		add(word);
}

Command &Command::add(std::string_view word)
{
	append_number(body_, '$', word.size());
	body_.append(word);
	body_.append("\r\n");
	words_++;
	return *this;
}

Command &Command::add(long long number)
{
	char digits[24];
	const char *end = std::to_chars(digits, digits + sizeof digits, number).ptr;
	return add(std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

void Command::write_to(Buffer &out) const
{
	append_number(out, '*', words_);
	out.append(body_.view());
}

} // namespace sidecar::redis
