// A command in Redis' protocol: its name and arguments, each any bytes. Wiped
// when it dies.
#pragma once

#include <initializer_list>
#include <string_view>

#include "common/secret_string.hpp"
#include "redis/buffer.hpp"

namespace sidecar::redis
{

class Command
{
public:
	Command() = default;
	Command(std::initializer_list<std::string_view> words);
	Command(Command &&) noexcept = default;
	Command &operator=(Command &&) noexcept = default;

	Command &add(std::string_view word);
	Command &add(const Secret &word) { return add(word.reveal()); }
	Command &add(long long number);
	Command &add(const char *word) { return add(std::string_view(word)); }
	Command &add(int number) { return add(static_cast<long long>(number)); }

	std::size_t words() const noexcept { return words_; }
	void write_to(Buffer &out) const;

private:
	Buffer body_; // the words, each behind its length
	std::size_t words_ = 0;
};

} // namespace sidecar::redis
