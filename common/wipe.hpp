// Overwrites memory in a way that no optimiser removes.
#pragma once

#include <cstddef>
#include <string>

namespace fernet
{

void wipe(void *memory, std::size_t size) noexcept;

} // namespace fernet

namespace sidecar
{

// To the string's capacity; it is empty then.
void wipe(std::string &text) noexcept;

} // namespace sidecar
