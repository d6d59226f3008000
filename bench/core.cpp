// The Fernet core against the same work done by bare OpenSSL calls:
// AES-128-CBC and HMAC-SHA256 with contexts that are set up once, as the manual
// pages of EVP_EncryptInit and EVP_MAC show them, without envelope, base64,
// time stamp or comparison of the MAC. Both sides take a given IV; what drawing
// one costs is printed apart.
//
// The two run in turn in short rounds, so that what else the machine does meets
// both; printed are the medians, and the median of each round's ratio.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "common/fernet.hpp"

namespace
{

constexpr int kRounds = 3000;
constexpr int kCallsPerRound = 200;
constexpr std::size_t kPlaintextBytes = 200;
constexpr double kTarget = 1.5;

void require(bool good)
{
	if (!good) {
		std::fputs("core: a call that must work failed\n", stderr);
		std::exit(1);
	}
}

// What a program would write that has OpenSSL and no Fernet.
class Bare
{
public:
	explicit Bare(const common::fernet::Key &key)
	{
		EVP_CIPHER *aes = EVP_CIPHER_fetch(nullptr, "AES-128-CBC", nullptr);
		const unsigned char *encryption = key.encryption().data();
		require(EVP_EncryptInit_ex2(encrypt_, aes, encryption, nullptr, nullptr) == 1);
		require(EVP_DecryptInit_ex2(decrypt_, aes, encryption, nullptr, nullptr) == 1);
		EVP_CIPHER_free(aes);

		EVP_MAC *hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
		hmac_ = EVP_MAC_CTX_new(hmac);
		EVP_MAC_free(hmac);
		char digest[] = "SHA256";
		const OSSL_PARAM parameters[] = {
			OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
			OSSL_PARAM_construct_end()};
		require(EVP_MAC_init(hmac_, key.signing().data(), key.signing().size(), parameters) == 1);
	}
	~Bare()
	{
		EVP_CIPHER_CTX_free(encrypt_);
		EVP_CIPHER_CTX_free(decrypt_);
		EVP_MAC_CTX_free(hmac_);
	}
	Bare(const Bare &) = delete;
	Bare &operator=(const Bare &) = delete;

	int encrypt(const std::string &plaintext, const common::fernet::Iv &iv, unsigned char *out)
	{
		int body, last;
		require(EVP_EncryptInit_ex2(encrypt_, nullptr, nullptr, iv.data(), nullptr) == 1);
		require(EVP_EncryptUpdate(encrypt_, out, &body,
								  reinterpret_cast<const unsigned char *>(plaintext.data()),
								  static_cast<int>(plaintext.size())) == 1);
		require(EVP_EncryptFinal_ex(encrypt_, out + body, &last) == 1);
		sign(out, body + last);
		return body + last;
	}

	void decrypt(const unsigned char *ciphertext, int size, const common::fernet::Iv &iv,
				 unsigned char *out)
	{
		int body, last;
		sign(ciphertext, size);
		require(EVP_DecryptInit_ex2(decrypt_, nullptr, nullptr, iv.data(), nullptr) == 1);
		require(EVP_DecryptUpdate(decrypt_, out, &body, ciphertext, size) == 1);
		require(EVP_DecryptFinal_ex(decrypt_, out + body, &last) == 1);
	}

private:
	void sign(const unsigned char *ciphertext, int size)
	{
		unsigned char mac[common::fernet::kMacBytes];
		std::size_t mac_bytes;
		require(EVP_MAC_init(hmac_, nullptr, 0, nullptr) == 1);
		require(EVP_MAC_update(hmac_, ciphertext, static_cast<std::size_t>(size)) == 1);
		require(EVP_MAC_final(hmac_, mac, &mac_bytes, sizeof mac) == 1);
	}

	EVP_CIPHER_CTX *encrypt_ = EVP_CIPHER_CTX_new();
	EVP_CIPHER_CTX *decrypt_ = EVP_CIPHER_CTX_new();
	EVP_MAC_CTX *hmac_ = nullptr;
};

// Microseconds per call.
template <typename Call>
double time_of(Call call)
{
	const auto start = std::chrono::steady_clock::now();
	for (int i = 0; i < kCallsPerRound; i++)
		call();
	const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
	return took.count() / kCallsPerRound;
}

double median(std::vector<double> values)
{
	std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
	return values[values.size() / 2];
}

template <typename Ours, typename Theirs>
void compare(const char *what, Ours ours, Theirs bare)
{
	std::vector<double> our_times, bare_times, ratios;
	for (int round = 0; round < kRounds; round++) {
		double our_time, bare_time;
		if (round % 2) {
			our_time = time_of(ours);
			bare_time = time_of(bare);
		} else {
			bare_time = time_of(bare);
			our_time = time_of(ours);
		}
		our_times.push_back(our_time);
		bare_times.push_back(bare_time);
		ratios.push_back(our_time / bare_time);
	}
	std::printf("core %s %zu B   ours %.2f us   bare %.2f us   ratio %.2f (target <= %.1f)\n", what,
				kPlaintextBytes, median(our_times), median(bare_times), median(ratios), kTarget);
}

} // namespace

int main()
{
	auto key = common::fernet::Key::generate();
	common::fernet::Iv iv;
	require(key && common::fernet::random_iv(iv));
	common::fernet::Cipher cipher(*key);
	Bare bare(*key);

	const std::string plaintext(kPlaintextBytes, 'p');
	std::string token(common::fernet::token_chars(plaintext.size()), '\0');
	std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
	std::array<unsigned char, kPlaintextBytes + 2 * common::fernet::kBlockBytes> ciphertext,
		decrypted;

	const auto our_encrypt = [&] { require(cipher.encrypt(plaintext, 1, iv, token)); };
	const auto our_decrypt = [&] {
		auto envelope = common::fernet::Envelope::decode(token, buffer);
		require(envelope && cipher.verify(*envelope) && cipher.decrypt(*envelope));
	};
	const auto bare_encrypt = [&] { bare.encrypt(plaintext, iv, ciphertext.data()); };
	const int size = bare.encrypt(plaintext, iv, ciphertext.data());
	const auto bare_decrypt = [&] { bare.decrypt(ciphertext.data(), size, iv, decrypted.data()); };

	our_encrypt();
	compare("encrypt", our_encrypt, bare_encrypt);
	compare("decrypt", our_decrypt, bare_decrypt);

	std::vector<double> one_by_one, by_64;
	std::array<common::fernet::Iv, 64> ivs;
	for (int round = 0; round < kRounds / 10; round++) {
		one_by_one.push_back(time_of([&] { require(common::fernet::random_iv(iv)); }));
		by_64.push_back(time_of([&] { require(common::fernet::random_ivs(ivs)); }) / ivs.size());
	}
	std::printf("core IV (in neither side above)   one by one %.2f us   64 at once %.2f us each\n",
				median(one_by_one), median(by_64));
}
