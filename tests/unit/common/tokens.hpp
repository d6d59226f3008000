// What several tests make tokens with.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base64url.hpp"
#include "common/fernet.hpp"

// The key of the specification's vectors.
inline constexpr std::string_view kVectorKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

inline constexpr common::fernet::Iv kIv = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

inline constexpr std::uint64_t kTimestamp = 1700000000;

inline common::fernet::Cipher make_cipher(std::string_view key = kVectorKey)
{
	return common::fernet::Cipher(common::fernet::Key::parse(key).value());
}

inline std::string seal(common::fernet::Cipher &cipher, std::string_view plaintext,
						std::uint64_t timestamp = kTimestamp, const common::fernet::Iv &iv = kIv)
{
	std::string token(common::fernet::token_chars(plaintext.size()), '\0');
	return cipher.encrypt(plaintext, timestamp, iv, token) ? token : "";
}

// On a buffer of its own, so that AddressSanitizer sees a step beside it.
inline std::optional<std::string> open(common::fernet::Cipher &cipher, std::string_view token)
{
	std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
	auto envelope = common::fernet::Envelope::decode(token, buffer);
	if (!envelope || !cipher.verify(*envelope))
		return std::nullopt;
	const auto plaintext = cipher.decrypt(*envelope);
	if (!plaintext)
		return std::nullopt;
	return std::string(plaintext->begin(), plaintext->end());
}

inline std::string encode(common::fernet::ConstBytes bytes)
{
	std::string text(common::fernet::base64url::encoded_chars(bytes.size()), '\0');
	common::fernet::base64url::encode(bytes, text.data());
	return text;
}

inline std::optional<std::vector<unsigned char>> decode(std::string_view text)
{
	std::vector<unsigned char> bytes(common::fernet::base64url::decoded_capacity(text.size()));
	std::size_t size;
	if (!common::fernet::base64url::decode(text, bytes.data(), size))
		return std::nullopt;
	bytes.resize(size);
	return bytes;
}
