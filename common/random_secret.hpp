// What a flow is known by: tickets, states, browser secrets, PKCE verifiers,
// nonces and confirmation codes. Each is 43 characters of base64url, of 32 bytes
// from OpenSSL's private generator (as RFC 7636, section 4.1, recommends), and
// the database keeps the SHA-256 of these characters instead. Plain C++.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace flow
{

inline constexpr std::size_t kSecretBytes = 32;
inline constexpr std::size_t kSecretChars = 43;
inline constexpr std::size_t kHashBytes = 32;

// The caller wipes it.
using Secret = std::array<char, kSecretChars>;
using Hash = std::array<unsigned char, kHashBytes>;

// False if OpenSSL cannot answer; the secret must not be used then.
[[nodiscard]] bool make_secret(Secret &out) noexcept;

// SHA-256; false if OpenSSL fails.
[[nodiscard]] bool make_hash(std::string_view text, Hash &out) noexcept;

} // namespace flow
