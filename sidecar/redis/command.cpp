#include "redis/command.hpp"

#include <charconv>

namespace sidecar::redis
{

namespace
{

void append_length(common::Secret &out, char kind, std::size_t number)
{
	char digits[24] = {kind};
	char *end = std::to_chars(digits + 1, digits + sizeof digits, number).ptr;
	*end++ = '\r';
	*end++ = '\n';
	out.append({digits, static_cast<std::size_t>(end - digits)});
}

constexpr std::size_t kFraming = 16; // of a word, nearly always

} // namespace

Command::Command(std::initializer_list<std::string_view> words)
{
	std::size_t size = 0;
	for (const std::string_view word : words)
		size += word.size() + kFraming;
	body_.reserve(size);
	for (const std::string_view word : words)
		add(word);
}

Command &Command::add(std::string_view word)
{
	append_length(body_, '$', word.size());
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

void Command::write_to(common::Secret &out) const
{
	append_length(out, '*', words_);
	out.append(body_.reveal());
}

} // namespace sidecar::redis
