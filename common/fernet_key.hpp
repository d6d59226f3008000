// A Fernet key: 16 bytes that sign and 16 that encrypt, written as 44
// characters of base64url (Fernet spec, "Key Format").
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "common/wipe.hpp"

namespace common::fernet
{

inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kKeyChars = 44;
inline constexpr std::size_t kFingerprintChars = 16;

// Whether a text is a key in the standard alphabet of base64, with + and / instead of - and
// _. parse() does not accept it.
bool is_in_standard_alphabet(std::string_view text) noexcept;

// Key material. A move wipes the source, and the destructor wipes the rest. It cannot be
// copied or printed.
class Key
{
public:
	// Nothing if `text` is not exactly 44 characters of canonical base64url.
	static std::optional<Key> parse(std::string_view text) noexcept;

	// A new key from OpenSSL's private generator; nothing if it fails.
	static std::optional<Key> generate() noexcept;

	explicit Key(std::span<const unsigned char, kKeyBytes> bytes) noexcept;
	Key(Key &&other) noexcept;
	Key &operator=(Key &&other) noexcept;
	Key(const Key &) = delete;
	Key &operator=(const Key &) = delete;
	~Key();

	std::span<const unsigned char, 16> signing() const noexcept;
	std::span<const unsigned char, 16> encryption() const noexcept;
	std::span<const unsigned char, kKeyBytes> bytes() const noexcept { return bytes_; }

	// The 44 characters. The caller wipes them.
	void write(std::span<char, kKeyChars> out) const noexcept;

	// The first 16 hexadecimal digits of the SHA-256 of the key's 44
	// characters. It identifies a key without revealing it. All zeros if OpenSSL fails.
	std::array<char, kFingerprintChars> fingerprint() const noexcept;

private:
	Key() = default;
	std::array<unsigned char, kKeyBytes> bytes_{};
};

} // namespace common::fernet
