// Where the keys come from: a file, a command's output, or the environment.
// Plain C++ and POSIX, so that it may hold destructors; nothing here raises.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/fernet_key.hpp"

namespace oauth_tokens
{

// So that two sets and their faults fit into one page.
inline constexpr std::size_t kMaxKeys = 32;
inline constexpr int kKeyCommandSeconds = 10;
inline constexpr const char *kKeyVariable = "OAUTH_ENCRYPTION_KEY";

enum class KeyState : std::uint8_t { missing, malformed, ready };

// A parsed source. Plain data, because it is in shared memory. The owner of a copy wipes it.
struct KeySet {
	KeyState state = KeyState::missing;
	std::uint32_t count = 0;
	std::array<std::array<unsigned char, common::fernet::kKeyBytes>, kMaxKeys> keys{};
	// What is wrong, for a person; never a key or a part of one.
	std::array<char, 192> fault{};
	// SHA-256 of the text that was parsed, to tell a changed source.
	std::array<unsigned char, 32> digest{};

	void wipe() noexcept { common::wipe(this, sizeof *this); }
};

// One or more Fernet keys, separated by commas or white space.
void parse_keys(std::string_view text, const char *source, KeySet &out) noexcept;

void read_key_file(const char *path, KeySet &out) noexcept;

// Runs `command` by /bin/sh and parses its whole output. It must exit with 0
// within kKeyCommandSeconds.
void run_key_command(const char *command, KeySet &out) noexcept;

// Parses OAUTH_ENCRYPTION_KEY. With `erase`, also wipes it from this process:
// from environ, and from the strings that the kernel shows as
// /proc/<pid>/environ, which are no longer the ones that getenv() returns.
void take_key_variable(bool erase, KeySet &out) noexcept;

} // namespace oauth_tokens
