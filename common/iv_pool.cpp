#include "common/iv_pool.hpp"

#include <array>
#include <cstddef>

#include <pthread.h>

namespace common::fernet
{

namespace
{

std::size_t left = 0;

void forget_in_child()
{
	left = 0;
}

} // namespace

bool next_iv(Iv &iv) noexcept
{
	static std::array<Iv, 64> drawn;
	// getpid() would tell a child, too, and is a system call each time.
	static const bool is_told_of_forks = pthread_atfork(nullptr, nullptr, forget_in_child) == 0;
	if (!is_told_of_forks)
		return random_iv(iv);
	if (left == 0) {
		if (!random_ivs(drawn))
			return false;
		left = drawn.size();
	}
	iv = drawn[--left];
	return true;
}

} // namespace common::fernet
