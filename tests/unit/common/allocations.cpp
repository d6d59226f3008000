#include "allocations.hpp"

#include <cstdlib>
#include <limits>
#include <new>

#include <openssl/crypto.h>

// The linker sends the calls of our own code to __wrap_… (option --wrap).
extern "C" {
void *__real_malloc(std::size_t size);
void *__real_calloc(std::size_t count, std::size_t size);
void *__real_realloc(void *old, std::size_t size);
void *__wrap_malloc(std::size_t size);
void *__wrap_calloc(std::size_t count, std::size_t size);
void *__wrap_realloc(void *old, std::size_t size);
}

namespace
{

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

std::size_t our_count;
std::size_t openssl_count;
std::size_t openssl_blocks;
std::size_t openssl_allowance = kUnlimited;
bool openssl_refused;

bool may_allocate()
{
	openssl_count++;
	if (openssl_allowance == 0) {
		openssl_refused = true;
		return false;
	}
	if (openssl_allowance != kUnlimited)
		openssl_allowance--;
	return true;
}

void openssl_free(void *memory, const char *, int)
{
	openssl_blocks -= memory != nullptr;
	std::free(memory);
}

void *openssl_realloc(void *old, std::size_t size, const char *file, int line)
{
	if (size == 0) {
		openssl_free(old, file, line);
		return nullptr;
	}
	void *memory = may_allocate() ? __real_realloc(old, size) : nullptr;
	openssl_blocks += old == nullptr && memory != nullptr;
	return memory;
}

void *openssl_malloc(std::size_t size, const char *file, int line)
{
	return openssl_realloc(nullptr, size, file, line);
}

// OpenSSL takes other functions only as long as it has allocated nothing.
const bool installed = [] {
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
		std::abort();
	return true;
}();

} // namespace

void *__wrap_malloc(std::size_t size)
{
	our_count++;
	return __real_malloc(size);
}

void *__wrap_calloc(std::size_t count, std::size_t size)
{
	our_count++;
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, std::size_t size)
{
	our_count++;
	return __real_realloc(old, size);
}

void *operator new(std::size_t size)
{
	if (void *memory = __wrap_malloc(size))
		return memory;
	throw std::bad_alloc();
}

void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
	return __wrap_malloc(size);
}

void operator delete(void *memory) noexcept
{
	std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept
{
	std::free(memory);
}

namespace allocations
{

std::size_t ours()
{
	return our_count;
}

std::size_t openssl()
{
	return openssl_count;
}

std::size_t openssl_live()
{
	return openssl_blocks;
}

OutOfMemory::OutOfMemory(std::size_t after)
{
	openssl_refused = false;
	openssl_allowance = after;
}

OutOfMemory::~OutOfMemory()
{
	openssl_allowance = kUnlimited;
}

bool OutOfMemory::struck() const
{
	return openssl_refused;
}

} // namespace allocations
