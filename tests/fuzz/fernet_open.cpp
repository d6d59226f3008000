// Opens tokens made of arbitrary bytes (libFuzzer; E9). The first byte of an input,
// '0' to '3' in the corpus, chooses what the rest is:
//
//   token     the token's characters
//   envelope  timestamp, IV and ciphertext, signed here, so that what comes
//             after the MAC is reached
//   blocks    timestamp, IV and padded plaintext, encrypted and signed here, so
//             that the padding is the input's to choose
//   plaintext IV and plaintext, sealed here
//
// Whatever opens must seal to the very same token again.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/base64url.hpp"
#include "common/fernet.hpp"

using common::fernet::Bytes;
using common::fernet::Cipher;
using common::fernet::ConstBytes;
using common::fernet::Envelope;
using common::fernet::Iv;
using common::fernet::kBlockBytes;
using common::fernet::Key;
using common::fernet::kHeaderBytes;
using common::fernet::kIvBytes;
using common::fernet::kMacBytes;

namespace
{

constexpr std::string_view kKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
constexpr std::size_t kIvAt = kHeaderBytes - kIvBytes;

void require(bool good)
{
	if (!good)
		std::abort();
}

const Key &the_key()
{
	static const Key key = Key::parse(kKey).value();
	return key;
}

Cipher &the_cipher()
{
	static Cipher cipher(the_key());
	return cipher;
}

std::string encode(ConstBytes bytes)
{
	std::string text(common::fernet::base64url::encoded_chars(bytes.size()), '\0');
	common::fernet::base64url::encode(bytes, text.data());
	return text;
}

// The two decoders agree, and what they accept has one spelling only.
std::vector<unsigned char> check_base64url(std::string_view text)
{
	std::vector<unsigned char> bytes(common::fernet::base64url::decoded_capacity(text.size()));
	std::vector<unsigned char> scalar_bytes(bytes.size());
	std::size_t size, scalar_size;
	const bool good = common::fernet::base64url::decode(text, bytes.data(), size);
	const bool scalar_good =
		common::fernet::base64url::decode_scalar(text, scalar_bytes.data(), scalar_size);
	require(good == scalar_good);
	if (!good)
		return {};
	require(size == scalar_size);
	bytes.resize(size);
	scalar_bytes.resize(size);
	require(bytes == scalar_bytes);
	require(encode(bytes) == text);
	std::string scalar_text(text.size(), '\0');
	common::fernet::base64url::encode_scalar(bytes, scalar_text.data());
	require(scalar_text == text);
	return bytes;
}

// Returns whether the token opened.
bool check_token(std::string_view token, bool *verified = nullptr)
{
	const auto bytes = check_base64url(token);
	std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
	auto envelope = Envelope::decode(token, buffer);
	constexpr std::size_t kOthers = kHeaderBytes + kMacBytes;
	require(envelope.has_value() == (bytes.size() > kOthers && bytes[0] == 0x80 &&
									 (bytes.size() - kOthers) % kBlockBytes == 0));
	if (!envelope)
		return false;
	const auto timestamp = envelope->timestamp();
	common::fernet::is_fresh(timestamp, 0, timestamp);
	Iv iv;
	std::copy_n(&bytes[kIvAt], kIvBytes, iv.begin());

	const bool good = the_cipher().verify(*envelope);
	if (verified)
		*verified = good;
	if (!good)
		return false;
	const auto opened = the_cipher().decrypt(*envelope);
	if (!opened)
		return false;

	const std::string plaintext(opened->begin(), opened->end());
	std::string again(common::fernet::token_chars(plaintext.size()), '\0');
	require(the_cipher().encrypt(plaintext, timestamp, iv, again));
	require(again == token);
	return true;
}

// Signs `envelope`, whose last bytes are the MAC's.
std::string sign(std::vector<unsigned char> &envelope)
{
	const ConstBytes key = the_key().signing();
	unsigned char *mac = envelope.data() + envelope.size() - kMacBytes;
	require(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), envelope.data(),
				 envelope.size() - kMacBytes, mac, nullptr) != nullptr);
	return encode(envelope);
}

// Encrypts whole blocks in place, without adding padding.
void encrypt_blocks(Bytes blocks, const unsigned char *iv)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int written;
	require(EVP_EncryptInit_ex2(context, EVP_aes_128_cbc(), the_key().encryption().data(), iv,
								nullptr) == 1);
	require(EVP_CIPHER_CTX_set_padding(context, 0) == 1);
	require(EVP_EncryptUpdate(context, blocks.data(), &written, blocks.data(),
							  static_cast<int>(blocks.size())) == 1);
	EVP_CIPHER_CTX_free(context);
}

// What OpenSSL and everyone else take for PKCS #7 padding, in plain words.
bool well_padded(ConstBytes text)
{
	const std::size_t padding = text.back();
	return padding >= 1 && padding <= kBlockBytes &&
		   std::ranges::all_of(text.last(padding),
							   [&](unsigned char byte) { return byte == padding; });
}

// `body` is timestamp, IV and whole blocks; what is beyond them is left out.
void check_blocks(ConstBytes body, bool encrypt)
{
	constexpr std::size_t kBeforeBlocks = kHeaderBytes - 1;
	if (body.size() < kBeforeBlocks + kBlockBytes)
		return;
	const std::size_t blocks = (body.size() - kBeforeBlocks) / kBlockBytes * kBlockBytes;
	std::vector<unsigned char> envelope(kHeaderBytes + blocks + kMacBytes);
	envelope[0] = 0x80;
	std::ranges::copy(body.first(kBeforeBlocks + blocks), &envelope[1]);

	const Bytes text = Bytes(envelope).subspan(kHeaderBytes, blocks);
	const bool opens = well_padded(text);
	if (encrypt)
		encrypt_blocks(text, &envelope[kIvAt]);

	bool verified = false;
	const bool opened = check_token(sign(envelope), &verified);
	require(verified);
	if (encrypt)
		require(opened == opens);
}

void check_plaintext(ConstBytes body)
{
	if (body.size() < kIvBytes)
		return;
	Iv iv;
	std::copy_n(body.begin(), kIvBytes, iv.begin());
	const std::string plaintext(body.begin() + kIvBytes, body.end());
	std::string token(common::fernet::token_chars(plaintext.size()), '\0');
	require(the_cipher().encrypt(plaintext, body.size(), iv, token));
	require(check_token(token));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size)
{
	if (size == 0)
		return 0;
	const ConstBytes body(data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		check_token({reinterpret_cast<const char *>(body.data()), body.size()});
		break;
	case 1:
		check_blocks(body, false);
		break;
	case 2:
		check_blocks(body, true);
		break;
	case 3:
		check_plaintext(body);
		break;
	}
	return 0;
}
