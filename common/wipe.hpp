// Overwrites memory in a way that no optimiser removes.
#pragma once

#include <cstddef>
#include <string>

namespace common
{

void wipe(void *memory, std::size_t size) noexcept;

} // namespace common

namespace common
{

// To the string's capacity; it is empty then.
void wipe(std::string &text) noexcept;

} // namespace common
