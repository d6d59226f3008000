// For SHA-256 without EVP, whose copy of a keyed digest costs about as much as the hashing.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "common/fernet.hpp"

#include <array>
#include <climits>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "common/base64url.hpp"

namespace common::fernet
{

namespace
{

constexpr unsigned char kVersion = 0x80;
constexpr std::size_t kTimestampAt = 1;
constexpr std::size_t kIvAt = 9;
constexpr std::size_t kUnpaddedBytes = kHeaderBytes + kMacBytes; // everything except the ciphertext

constexpr std::size_t kSha256BlockBytes = 64;
constexpr unsigned char kInnerPad = 0x36; // ipad and opad of RFC 2104
constexpr unsigned char kOuterPad = 0x5c;

void store_big_endian(std::uint64_t value, unsigned char *out) noexcept
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		out[i] = static_cast<unsigned char>(value);
}

std::uint64_t load_big_endian(const unsigned char *in) noexcept
{
	std::uint64_t value = 0;
	for (int i = 0; i < 8; i++)
		value = value << 8 | in[i];
	return value;
}

// Replaces the block that CBC has XORed, or will XOR, into `block`.
void rechain(unsigned char *block, const unsigned char *from, const unsigned char *to) noexcept
{
	// A local variable overlaps nothing, so the compiler can copy 16 bytes at a time.
	std::array<unsigned char, kBlockBytes> difference;
	for (std::size_t i = 0; i < kBlockBytes; i++)
		difference[i] = from[i] ^ to[i];
	for (std::size_t i = 0; i < kBlockBytes; i++)
		block[i] ^= difference[i];
}

// Bytes of PKCS #7 padding at the end of `text`, which is one block or more; 0
// if they are wrong. Takes constant time.
std::size_t padding_of(ConstBytes text) noexcept
{
	const auto block = text.last<kBlockBytes>();
	const unsigned padding = block.back();
	unsigned wrong = padding > kBlockBytes;
	for (unsigned i = 0; i < kBlockBytes; i++)
		wrong |= (block[i] ^ padding) & (0u - (i + padding >= kBlockBytes));
	return wrong ? 0 : padding;
}

// Of the key XOR `pad`.
bool begin_digest(SHA256_CTX &digest, const Key &key, unsigned char pad) noexcept
{
	std::array<unsigned char, kSha256BlockBytes> block;
	block.fill(pad);
	for (std::size_t i = 0; i < key.signing().size(); i++)
		block[i] ^= key.signing()[i];
	const bool is_good =
		SHA256_Init(&digest) == 1 && SHA256_Update(&digest, block.data(), block.size()) == 1;
	wipe(block.data(), block.size());
	return is_good;
}

} // namespace

struct Cipher::Hmac {
	SHA256_CTX inner; // after the key XOR ipad
	SHA256_CTX outer; // after the key XOR opad
};

std::optional<Envelope> Envelope::decode(std::string_view token, Bytes buffer) noexcept
{
	if (buffer.size() < decoded_capacity(token.size()))
		return std::nullopt;

	std::size_t size;
	if (!fernet::base64url::decode(token, buffer.data(), size) ||
		size < kUnpaddedBytes + kBlockBytes || (size - kUnpaddedBytes) % kBlockBytes != 0 ||
		buffer[0] != kVersion)
		return std::nullopt;
	return Envelope(buffer.data(), size);
}

std::uint64_t Envelope::timestamp() const noexcept
{
	return load_big_endian(bytes_ + kTimestampAt);
}

void Cipher::Free::operator()(EVP_CIPHER_CTX *context) const noexcept
{
	EVP_CIPHER_CTX_free(context);
}

// The digests are as good as the key.
void Cipher::Free::operator()(Hmac *hmac) const noexcept
{
	wipe(hmac, sizeof *hmac);
	delete hmac;
}

Cipher::Cbc::Cbc(const Key &key, int encrypting) : context(EVP_CIPHER_CTX_new())
{
	EVP_CIPHER *aes = EVP_CIPHER_fetch(nullptr, "AES-128-CBC", nullptr);
	const bool made = context && aes &&
					  EVP_CipherInit_ex2(context.get(), aes, key.encryption().data(), chain.data(),
										 encrypting, nullptr) == 1 &&
					  EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1;
	EVP_CIPHER_free(aes);
	if (!made)
		throw std::runtime_error("OpenSSL cannot set up AES-128-CBC");
}

bool Cipher::Cbc::encrypt(Bytes text, const unsigned char *iv) noexcept
{
	if (!context || text.size() > INT_MAX)
		return false;

	int written;
	rechain(text.data(), chain.data(), iv);
	if (EVP_EncryptUpdate(context.get(), text.data(), &written, text.data(),
						  static_cast<int>(text.size())) != 1) {
		context.reset(); // its last block is no longer known
		return false;
	}
	std::memcpy(chain.data(), text.last<kBlockBytes>().data(), kBlockBytes);
	return true;
}

bool Cipher::Cbc::decrypt(Bytes text, const unsigned char *iv) noexcept
{
	if (!context || text.size() > INT_MAX)
		return false;

	int written;
	const auto before = chain;
	std::memcpy(chain.data(), text.last<kBlockBytes>().data(), kBlockBytes);
	if (EVP_DecryptUpdate(context.get(), text.data(), &written, text.data(),
						  static_cast<int>(text.size())) != 1) {
		context.reset(); // as above
		return false;
	}
	rechain(text.data(), before.data(), iv);
	return true;
}

Cipher::Cipher(const Key &key) : encrypt_(key, 1), decrypt_(key, 0), hmac_(new Hmac)
{
	if (!begin_digest(hmac_->inner, key, kInnerPad) || !begin_digest(hmac_->outer, key, kOuterPad))
		throw std::runtime_error("OpenSSL cannot set up SHA-256");
}

// HMAC-SHA256, without hashing the key again.
bool Cipher::hmac(ConstBytes text, unsigned char *mac) noexcept
{
	if (!hmac_)
		return false;
	SHA256_CTX digest = hmac_->inner;
	const bool is_inner =
		SHA256_Update(&digest, text.data(), text.size()) == 1 && SHA256_Final(mac, &digest) == 1;
	digest = hmac_->outer;
	return is_inner && SHA256_Update(&digest, mac, kMacBytes) == 1 &&
		   SHA256_Final(mac, &digest) == 1;
}

bool Cipher::encrypt(std::string_view plaintext, std::uint64_t timestamp, const Iv &iv,
					 std::span<char> out) noexcept
{
	if (out.size() != token_chars(plaintext.size())) {
		wipe(out.data(), out.size());
		return false;
	}
	const std::size_t padding = kBlockBytes - plaintext.size() % kBlockBytes;
	const std::size_t padded = plaintext.size() + padding;

	// The envelope is made at the end of `out`. base64url::encode() takes it from there.
	const Bytes envelope = Bytes(reinterpret_cast<unsigned char *>(out.data()), out.size())
							   .last(kUnpaddedBytes + padded);
	const Bytes text = envelope.subspan(kHeaderBytes, padded);
	envelope[0] = kVersion;
	store_big_endian(timestamp, &envelope[kTimestampAt]);
	std::memcpy(&envelope[kIvAt], iv.data(), kIvBytes);
	plaintext.copy(reinterpret_cast<char *>(text.data()), plaintext.size());
	std::memset(&text[plaintext.size()], static_cast<int>(padding), padding);

	if (!encrypt_.encrypt(text, iv.data()) ||
		!hmac(envelope.first(kHeaderBytes + padded), &envelope[kHeaderBytes + padded])) {
		wipe(out.data(), out.size());
		return false;
	}
	fernet::base64url::encode(envelope, out.data());
	return true;
}

bool Cipher::verify(const Envelope &envelope) noexcept
{
	if (envelope.size_ == 0)
		return false;
	const std::size_t signed_bytes = envelope.size_ - kMacBytes;
	unsigned char mac[kMacBytes];
	return hmac({envelope.bytes_, signed_bytes}, mac) &&
		   CRYPTO_memcmp(mac, envelope.bytes_ + signed_bytes, kMacBytes) == 0;
}

std::optional<std::span<char>> Cipher::decrypt(Envelope &envelope) noexcept
{
	if (envelope.size_ == 0)
		return std::nullopt;
	const Bytes all(envelope.bytes_, std::exchange(envelope.size_, 0));
	const Bytes text = all.subspan(kHeaderBytes, all.size() - kUnpaddedBytes);

	const std::size_t padding = decrypt_.decrypt(text, &all[kIvAt]) ? padding_of(text) : 0;
	if (padding == 0) {
		wipe(all.data(), all.size());
		return std::nullopt;
	}
	const std::size_t size = text.size() - padding;
	std::memmove(all.data(), text.data(), size);
	wipe(&all[size], all.size() - size);
	return std::span(reinterpret_cast<char *>(all.data()), size);
}

bool random_iv(Iv &iv) noexcept
{
	return random_ivs({&iv, 1});
}

bool random_ivs(std::span<Iv> ivs) noexcept
{
	const std::size_t size = ivs.size_bytes();
	return size <= INT_MAX &&
		   RAND_bytes(reinterpret_cast<unsigned char *>(ivs.data()), static_cast<int>(size)) == 1;
}

bool is_fresh(std::uint64_t timestamp, std::uint64_t now, std::uint64_t ttl_microseconds) noexcept
{
	if (timestamp > now)
		return timestamp - now <= kMaxClockSkewSeconds;
	// Whole seconds have passed, so the fraction of the ttl makes no difference.
	return now - timestamp <= ttl_microseconds / 1'000'000;
}

} // namespace common::fernet
