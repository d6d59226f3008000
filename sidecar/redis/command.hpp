// A command in Redis' protocol: its name and arguments, each any bytes. Wiped
// when it dies.
#pragma once

#include <initializer_list>
#include <string_view>

#include "common/secret_string.hpp"

namespace sidecar::redis
{

class Command
{
public:
	Command() = default;
	Command(std::initializer_list<std::string_view> words);

	Command &add(std::string_view word);
	Command &add(const common::Secret &word) { return add(word.reveal()); }
	Command &add(const char *word) { return add(std::string_view(word)); }
	Command &add(long long number);
	Command &add(int number) { return add(static_cast<long long>(number)); }

	void write_to(common::Secret &out) const;

private:
	common::Secret body_; // the words, each behind its length
	std::size_t words_ = 0;
};

} // namespace sidecar::redis
