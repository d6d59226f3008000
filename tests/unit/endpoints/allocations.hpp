// Counts what `new` takes, in the whole program of the tests.
#pragma once

#include <cstddef>

namespace tests
{

// How often this thread has called it.
std::size_t allocations() noexcept;

} // namespace tests
