#include "common/wipe.hpp"

#include <string.h> // explicit_bzero

namespace common
{

void wipe(void *memory, std::size_t size) noexcept
{
	explicit_bzero(memory, size);
}

} // namespace common

namespace common
{

void wipe(std::string &text) noexcept
{
	// Beyond its size, too: it may have been longer, or moved away.
	explicit_bzero(text.data(), text.capacity());
	text.clear();
}

} // namespace common
