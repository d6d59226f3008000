// The key ring's one copy, and its reload: a page shared by the postmaster and its backends,
// locked into memory and left out of core dumps.
//
// When the library is in shared_preload_libraries the postmaster makes and
// fills the page before it forks anyone. Otherwise each backend makes its own.
#pragma once

#include <cstdint>

#include "keys/key_source.hpp"

namespace oauth_tokens
{

// Makes the page and fills it from the one source that is configured:
// oauth_tokens.key_file, else oauth_tokens.key_command, else OAUTH_ENCRYPTION_KEY in the
// server's environment. Comes after settings_init().
void load_key_ring();

// The assign hook of oauth_tokens.key_file. It runs in every process at every reload, while
// the setting stands in a configuration file; the postmaster's turn comes before it tells
// the others.
void key_file_assigned(const char *newval, void *);

// Counts the changes of the ring. Re-reads the key file first, if a reload
// of the configuration asks for that and the postmaster does not.
std::uint64_t key_ring_generation() noexcept;

// Copies the ring of the newest generation to `out` and returns that
// generation. The caller wipes the copy.
std::uint64_t copy_key_ring(KeySet &out) noexcept;

// The setting or variable from which the keys are.
const char *key_source() noexcept;

// Reads the key file as it is now. Whether the ring is of the same text. The caller wipes `out`.
bool is_key_file_loaded(KeySet &out) noexcept;

} // namespace oauth_tokens
