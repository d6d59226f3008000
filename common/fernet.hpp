// Fernet tokens (https://github.com/fernet/spec, version 0x80): AES-128-CBC
// under HMAC-SHA256, written in base64url.
//
// Plain C++ over OpenSSL: no PostgreSQL header is needed, or allowed
// here. Nothing in this file allocates once a Cipher exists, and
// nothing but Cipher's constructor throws, so callers may longjmp past it.
//
// The caller owns every buffer. Opening a token takes three steps, so that a
// token is decoded only once, even if several keys are tried:
//
//   auto envelope = common::fernet::Envelope::decode(token, buffer);
//   if (envelope && cipher.verify(*envelope))
//       plaintext = cipher.decrypt(*envelope);   // is in `buffer`
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "common/fernet_key.hpp"

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;

namespace common::fernet
{

using Bytes = std::span<unsigned char>;
using ConstBytes = std::span<const unsigned char>;

inline constexpr std::size_t kBlockBytes = 16;
inline constexpr std::size_t kIvBytes = 16;
inline constexpr std::size_t kMacBytes = 32;
inline constexpr std::size_t kHeaderBytes = 1 + 8 + kIvBytes; // version, timestamp, IV

// A clock may be this far ahead of ours (Fernet spec, "max clock skew").
inline constexpr std::uint64_t kMaxClockSkewSeconds = 60;

using Iv = std::array<unsigned char, kIvBytes>;

// Characters in the token of a plaintext of `plaintext_bytes`.
constexpr std::size_t token_chars(std::size_t plaintext_bytes) noexcept
{
	const std::size_t padded = (plaintext_bytes / kBlockBytes + 1) * kBlockBytes;
	return (kHeaderBytes + padded + kMacBytes + 2) / 3 * 4;
}

// Bytes that Envelope::decode needs for a token of `token_chars` characters.
// Never less than the plaintext's size.
constexpr std::size_t decoded_capacity(std::size_t token_chars) noexcept
{
	return token_chars / 4 * 3 + 16;
}

// A well-formed token, decoded but not yet authenticated: trust nothing
// in it before Cipher::verify() succeeds.
class Envelope
{
public:
	// Decodes `token` into `buffer`, of at least decoded_capacity(token.size())
	// bytes, which must outlive the envelope. Nothing if the token is not
	// canonical base64url (padded, no stray bits, no white space), is not of
	// version 0x80, or has a length that no Fernet token has.
	static std::optional<Envelope> decode(std::string_view token, Bytes buffer) noexcept;

	// Seconds since 1970-01-01 00:00:00 UTC, by the clock of the program that encrypted it.
	std::uint64_t timestamp() const noexcept;

private:
	friend class Cipher;
	Envelope(unsigned char *bytes, std::size_t size) noexcept : bytes_(bytes), size_(size) {}

	unsigned char *bytes_; // version | timestamp | IV | ciphertext | MAC
	std::size_t size_;
};

// One key, ready for use: it keeps the AES key schedules and HMAC pads, so calls need no key
// setup. Not for use by two threads at once.
class Cipher
{
public:
	// Throws std::runtime_error if OpenSSL refuses (out of memory, no AES).
	explicit Cipher(const Key &key);
	~Cipher() = default;
	Cipher(Cipher &&) noexcept = default;
	Cipher &operator=(Cipher &&) noexcept = default;
	Cipher(const Cipher &) = delete;
	Cipher &operator=(const Cipher &) = delete;

	// Writes the token of `plaintext` to `out`, which has exactly
	// token_chars(plaintext.size()) characters. `iv` must be fresh from
	// random_iv(). `timestamp` is in seconds since 1970 UTC. False only if
	// OpenSSL fails, `out` has another size or `plaintext` has 2 GiB or more;
	// `out` is then wiped.
	[[nodiscard]] bool encrypt(std::string_view plaintext, std::uint64_t timestamp, const Iv &iv,
							   std::span<char> out) noexcept;

	// Whether the envelope has this key's HMAC. All 32 bytes are compared in constant time.
	[[nodiscard]] bool verify(const Envelope &envelope) noexcept;

	// Decrypts a verified envelope in place and moves the plaintext to the
	// start of its buffer; the rest of the buffer is wiped, and the envelope is
	// used up. Nothing if the padding is wrong: to
	// outsiders, the caller must not distinguish this from a wrong MAC.
	[[nodiscard]] std::optional<std::span<char>> decrypt(Envelope &envelope) noexcept;

private:
	struct Hmac; // the two digests that RFC 2104 begins with, which depend on the key alone
	struct Free {
		void operator()(EVP_CIPHER_CTX *context) const noexcept;
		void operator()(Hmac *hmac) const noexcept;
	};

	// AES-128-CBC in one direction. The context never gets a new IV, because that
	// costs more than decrypting 200 bytes. Each call continues the chain of the one before, and
	// we XOR the difference into the first block.
	struct Cbc {
		Cbc(const Key &key, int encrypting);
		bool encrypt(Bytes text, const unsigned char *iv) noexcept;
		bool decrypt(Bytes text, const unsigned char *iv) noexcept;

		std::unique_ptr<EVP_CIPHER_CTX, Free> context;
		std::array<unsigned char, kBlockBytes> chain{}; // the last ciphertext block
	};

	bool hmac(ConstBytes text, unsigned char *mac) noexcept;

	Cbc encrypt_;
	Cbc decrypt_;
	std::unique_ptr<Hmac, Free> hmac_;
};

// 16 bytes of OpenSSL's generator, which reseeds itself after fork(). False
// if it fails; the IV must then not be used.
[[nodiscard]] bool random_iv(Iv &iv) noexcept;

// The same for many at once. One call costs more than its bytes.
[[nodiscard]] bool random_ivs(std::span<Iv> ivs) noexcept;

// Whether a token sealed at `timestamp` is still valid at `now` (both in seconds
// since 1970 UTC) for `ttl_microseconds`, and was not sealed more than
// kMaxClockSkewSeconds in the future.
bool is_fresh(std::uint64_t timestamp, std::uint64_t now, std::uint64_t ttl_microseconds) noexcept;

} // namespace common::fernet
