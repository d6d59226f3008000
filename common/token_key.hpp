// The key that seals one token of the table if oauth_tokens.key_binding is migrating or bound:
// HKDF-SHA256 of the ring's key with
//
//   info = "oauth_tokens token" | 0x00 | SHA-256 of, for each member of TokenPlace in its order,
//          4 bytes of its length, big-endian, and its bytes
//
// so that a value opens in its row and column only. docs/keys.md has it in Python.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "common/fernet_key.hpp"

namespace common::fernet
{

// Texts are UTF-8.
struct TokenPlace {
	std::string_view column;
	std::string_view workspace_id; // the 16 bytes
	std::string_view provider;
	std::string_view actor_type;
	std::string_view actor_id;
};

inline constexpr std::string_view kTokenPurpose = "oauth_tokens token";

using TokenKeyInfo = std::array<char, kTokenPurpose.size() + 1 + 32>;

// The info, for derive_key(). Nothing if OpenSSL fails.
std::optional<TokenKeyInfo> token_key_info(const TokenPlace &place) noexcept;

} // namespace common::fernet
