#include "common/wipe.hpp"

#include <string.h> // explicit_bzero

namespace fernet
{

void wipe(void *memory, std::size_t size) noexcept
{
	explicit_bzero(memory, size);
}

} // namespace fernet

namespace sidecar
{

void wipe(std::string &text) noexcept
{
	// Beyond its size, too: it may have been longer, or moved away.
	explicit_bzero(text.data(), text.capacity());
	text.clear();
}

} // namespace sidecar
