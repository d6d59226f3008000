// SHA-256 and base64url as OAuth uses them.
#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace common
{

using Digest = std::array<unsigned char, 32>;

Digest sha256(std::string_view text);
// Of the parts one after the other.
Digest sha256(std::initializer_list<std::string_view> parts);
std::string hex(std::string_view bytes);
using HexDigest = std::array<char, 64>;
HexDigest hex(const Digest &digest) noexcept;
// Whether it has the form of 32 random bytes in base64url: a state, a browser secret.
bool is_random_text(std::string_view text) noexcept;
// Without padding (RFC 7515 appendix C).
std::string base64url(std::string_view bytes);
// Nothing if `text` has padding, a foreign character or stray bits.
std::optional<std::string> base64url_decode(std::string_view text);
// With padding (RFC 4648 section 4), for HTTP Basic.
std::string base64(std::string_view bytes);

// RFC 7636 section 4.2, method S256.
std::string code_challenge(std::string_view code_verifier);

} // namespace common
