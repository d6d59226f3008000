#include "common/wipe.hpp"

#include <string.h> // explicit_bzero

namespace common
{

void wipe(void *memory, std::size_t size) noexcept
{
	explicit_bzero(memory, size);
}

} // namespace common
