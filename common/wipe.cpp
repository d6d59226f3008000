#include "common/wipe.hpp"

#include <string.h> // explicit_bzero

namespace common
{

void wipe(void *memory, std::size_t size) noexcept
{
	if (size != 0) // nothing may be at no address
		explicit_bzero(memory, size);
}

} // namespace common
