// Overwrites memory in a way that no optimiser removes.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>

namespace common
{

void wipe(void *memory, std::size_t size) noexcept;

// To the string's capacity, because it may have been longer, or moved away; it is empty then.
inline void wipe(std::string &text) noexcept
{
	// Most are within the object, and a call would take ten times as long as two stores.
	constexpr std::size_t kWithinObject = 15;
	if (text.capacity() == kWithinObject) {
		std::memset(text.data(), 0, kWithinObject);
		asm volatile("" : : "r"(text.data()) : "memory"); // keeps the stores
	} else {
		wipe(text.data(), text.capacity());
	}
	text.clear();
}

} // namespace common
