// Derives a key for each purpose, by HKDF-SHA256 (RFC 5869).
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "common/fernet_key.hpp"

namespace common::fernet
{

// Extract and expand. An empty salt is RFC 5869's default. `out` has at most 255 × 32
// bytes. False if OpenSSL fails.
[[nodiscard]] bool hkdf_sha256(std::span<const unsigned char> secret, std::string_view salt,
							   std::string_view info, std::span<unsigned char> out) noexcept;

// The Fernet key that HKDF-SHA256 derives from the 32 bytes of `master` and `info`, without
// salt. Nothing if OpenSSL fails.
std::optional<Key> derive_key(const Key &master, std::string_view info) noexcept;

} // namespace common::fernet
