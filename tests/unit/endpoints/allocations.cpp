#include "allocations.hpp"

#include <cstdlib>
#include <new>

namespace
{

thread_local std::size_t count;

} // namespace

// (That for arrays calls this one.)
void *operator new(std::size_t size)
{
	count++;
	if (void *memory = std::malloc(size))
		return memory;
	throw std::bad_alloc();
}

void operator delete(void *memory) noexcept
{
	std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept
{
	std::free(memory);
}

std::size_t tests::allocations() noexcept
{
	return count;
}
