// The key ring's one copy: a page shared by the postmaster and its backends,
// locked into memory and left out of core dumps.
//
// When the library is in shared_preload_libraries the postmaster makes and
// fills the page before it forks anyone. Otherwise each backend makes its own.
#pragma once

#include <cstdint>

#include "keys/key_source.hpp"

namespace oauth_tokens
{

// Defines the settings, makes the page and fills it from the one source that
// is configured: oauth_tokens.key_file, else oauth_tokens.key_command, else
// OAUTH_ENCRYPTION_KEY in the server's environment.
void key_shared_memory_init();

// Counts the changes of the ring. Re-reads the key file first, where a reload
// of the configuration asks for that and the postmaster does not.
std::uint64_t key_shared_memory_generation() noexcept;

// Copies the ring of the newest generation to `out` and returns that
// generation. The caller wipes the copy.
std::uint64_t key_shared_memory_read(KeySet &out) noexcept;

} // namespace oauth_tokens
