// The secrets of a flow: tickets, states, browser secrets, PKCE verifiers, nonces and
// confirmation codes. Each is 32 bytes of OpenSSL's private generator, as 43 characters of
// base64url (RFC 7636, section 4.1, recommends this). The database stores the SHA-256 of
// these characters.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace common
{

inline constexpr std::size_t kRandomSecretBytes = 32;
inline constexpr std::size_t kRandomSecretChars = 43;
inline constexpr std::size_t kHashBytes = 32;

// The caller wipes it.
using RandomSecret = std::array<char, kRandomSecretChars>;
using Hash = std::array<unsigned char, kHashBytes>;

// False if OpenSSL fails; the secret must then not be used.
[[nodiscard]] bool make_random_secret(RandomSecret &out) noexcept;

// SHA-256; false if OpenSSL fails.
[[nodiscard]] bool make_hash(std::string_view text, Hash &out) noexcept;

} // namespace common
