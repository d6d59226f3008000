// Counts allocations, and makes those of OpenSSL fail on request.
#pragma once

#include <cstddef>

namespace allocations
{

// How often the code linked into this program called operator new, malloc,
// calloc or realloc so far; and how often OpenSSL allocated.
std::size_t ours();
std::size_t openssl();

// What OpenSSL has allocated and not freed.
std::size_t openssl_live();

// While one lives, OpenSSL gets memory `after` times and then none.
class OutOfMemory
{
public:
	explicit OutOfMemory(std::size_t after);
	~OutOfMemory();
	OutOfMemory(const OutOfMemory &) = delete;
	OutOfMemory &operator=(const OutOfMemory &) = delete;

	bool struck() const; // whether an allocation failed
};

} // namespace allocations
