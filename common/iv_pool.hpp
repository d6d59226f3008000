// Initialization vectors of a process that has one thread, such as a backend.
#pragma once

#include "common/fernet.hpp"

namespace common::fernet
{

// As random_iv(), which costs twice as much as to encrypt with it: these are drawn many at a time.
// A child process has none of its parent's.
[[nodiscard]] bool next_iv(Iv &iv) noexcept;

} // namespace common::fernet
