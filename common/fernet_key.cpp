#include "common/fernet_key.hpp"

#include <algorithm>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/base64url.hpp"

namespace common::fernet
{

std::optional<Key> Key::parse(std::string_view text) noexcept
{
	if (text.size() != kKeyChars)
		return std::nullopt;

	// One byte more than a key: 44 characters without padding are 33 bytes.
	std::array<unsigned char, fernet::base64url::decoded_capacity(kKeyChars)> bytes;
	std::size_t size;
	std::optional<Key> key;
	if (fernet::base64url::decode(text, bytes.data(), size) && size == kKeyBytes)
		key.emplace(std::span(bytes).first<kKeyBytes>());
	wipe(bytes.data(), bytes.size());
	return key;
}

bool is_in_standard_alphabet(std::string_view text) noexcept
{
	if (text.size() != kKeyChars || text.find_first_of("+/") == std::string_view::npos)
		return false;
	std::array<char, kKeyChars> translated;
	std::ranges::transform(text, translated.begin(), [](char c) {
		return c == '+' ? '-' : c == '/' ? '_' : c;
	});
	const bool is_key = Key::parse({translated.data(), translated.size()}).has_value();
	wipe(translated.data(), translated.size());
	return is_key;
}

std::optional<Key> Key::generate() noexcept
{
	std::optional<Key> key(Key{});
	if (RAND_priv_bytes(key->bytes_.data(), kKeyBytes) != 1)
		key.reset();
	return key;
}

Key::Key(std::span<const unsigned char, kKeyBytes> bytes) noexcept
{
	std::ranges::copy(bytes, bytes_.begin());
}

Key::Key(Key &&other) noexcept : bytes_(other.bytes_)
{
	wipe(other.bytes_.data(), kKeyBytes);
}

Key &Key::operator=(Key &&other) noexcept
{
	if (this != &other) {
		bytes_ = other.bytes_;
		wipe(other.bytes_.data(), kKeyBytes);
	}
	return *this;
}

Key::~Key()
{
	wipe(bytes_.data(), kKeyBytes);
}

std::span<const unsigned char, 16> Key::signing() const noexcept
{
	return bytes().first<16>();
}

std::span<const unsigned char, 16> Key::encryption() const noexcept
{
	return bytes().last<16>();
}

void Key::write(std::span<char, kKeyChars> out) const noexcept
{
	fernet::base64url::encode(bytes_, out.data());
}

std::array<char, kFingerprintChars> Key::fingerprint() const noexcept
{
	std::array<char, kKeyChars> text;
	write(text);
	std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
	EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
	wipe(text.data(), text.size());

	constexpr char kHex[] = "0123456789abcdef";
	std::array<char, kFingerprintChars> hex;
	for (std::size_t i = 0; i < hex.size(); i += 2) {
		hex[i] = kHex[digest[i / 2] >> 4];
		hex[i + 1] = kHex[digest[i / 2] & 15];
	}
	return hex;
}

} // namespace common::fernet
