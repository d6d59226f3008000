// base64url (RFC 4648, section 5) as Fernet uses it: always padded, and exactly
// one text for each byte string. Neither function allocates or throws.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace fernet::base64url
{

constexpr std::size_t encoded_chars(std::size_t bytes) noexcept
{
	return (bytes + 2) / 3 * 4;
}

// Bytes that decode may write for `chars` characters.
constexpr std::size_t decoded_capacity(std::size_t chars) noexcept
{
	return chars / 4 * 3;
}

// Writes encoded_chars(in.size()) characters to `out`. `in` may stand at the
// very end of the space that `out` points to, and is overwritten then.
void encode(std::span<const unsigned char> in, char *out) noexcept;

// Decodes `text` into `out`, of at least decoded_capacity(text.size()) bytes
// that do not overlap it, and tells in `size` how many it wrote. False if
// `text` is not canonical: a character outside of the alphabet, padding missing
// or out of place, or a bit set that no byte uses. `out` holds rubbish then.
[[nodiscard]] bool decode(std::string_view text, unsigned char *out, std::size_t &size) noexcept;

// The same without vector instructions: what runs on CPUs that have none, and
// what the fast path is tested against.
void encode_scalar(std::span<const unsigned char> in, char *out) noexcept;
[[nodiscard]] bool decode_scalar(std::string_view text, unsigned char *out,
								 std::size_t &size) noexcept;

} // namespace fernet::base64url
