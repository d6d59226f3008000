// base64url (RFC 4648, section 5) as Fernet uses it: always padded, and exactly
// one text for each byte string. Neither function allocates or throws.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace common::fernet::base64url
{

constexpr std::size_t encoded_chars(std::size_t bytes) noexcept
{
	return (bytes + 2) / 3 * 4;
}

// The number of bytes that decode() may write for `chars` characters.
constexpr std::size_t decoded_capacity(std::size_t chars) noexcept
{
	return chars / 4 * 3;
}

// Writes encoded_chars(in.size()) characters to `out`. `in` may be at the very end
// of the space that `out` points to; it is then overwritten.
void encode(std::span<const unsigned char> in, char *out) noexcept;

// Decodes `text` into `out`, of at least decoded_capacity(text.size()) bytes
// that do not overlap it, and sets `size` to the number that it wrote. False if
// `text` is not canonical: it has a character outside the alphabet, missing or misplaced
// padding, or an unused bit that is set. The contents of `out` are then undefined.
[[nodiscard]] bool decode(std::string_view text, unsigned char *out, std::size_t &size) noexcept;

// The same without vector instructions, for CPUs that have none. Tests compare the fast path
// with it.
void encode_scalar(std::span<const unsigned char> in, char *out) noexcept;
[[nodiscard]] bool decode_scalar(std::string_view text, unsigned char *out,
								 std::size_t &size) noexcept;

} // namespace common::fernet::base64url
