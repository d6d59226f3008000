#include "common/digest.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>

namespace common
{

namespace
{

constexpr std::string_view kUrlAlphabet =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr char kHexDigits[] = "0123456789abcdef";
constexpr std::size_t kRandomChars = 43; // of 32 bytes

constexpr std::uint8_t kForeign = 64;
constexpr auto kSextets = [] {
	std::array<std::uint8_t, 256> sextets{};
	sextets.fill(kForeign);
	for (std::uint8_t i = 0; i < 64; i++)
		sextets[static_cast<unsigned char>(kUrlAlphabet[i])] = i;
	return sextets;
}();

struct Free {
	void operator()(EVP_MD *algorithm) const noexcept { EVP_MD_free(algorithm); }
	void operator()(EVP_MD_CTX *context) const noexcept { EVP_MD_CTX_free(context); }
};

std::uint8_t sextet(char c) noexcept
{
	return kSextets[static_cast<unsigned char>(c)];
}

} // namespace

// To look up the algorithm and make a context would cost more than the digest.
Digest sha256(std::initializer_list<std::string_view> parts)
{
	thread_local const std::unique_ptr<EVP_MD, Free> algorithm(
		EVP_MD_fetch(nullptr, "SHA256", nullptr));
	thread_local const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
	bool good =
		algorithm && context && EVP_DigestInit_ex2(context.get(), algorithm.get(), nullptr) == 1;
	for (const std::string_view part : parts)
		good = good && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
	Digest digest{};
	if (!good || EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1)
		throw std::runtime_error("SHA-256 failed");
	return digest;
}

Digest sha256(std::string_view text)
{
	return sha256({text});
}

std::string hex(std::string_view bytes)
{
	std::string out;
	out.reserve(bytes.size() * 2);
	for (const char c : bytes) {
		const auto byte = static_cast<unsigned char>(c);
		out += kHexDigits[byte >> 4];
		out += kHexDigits[byte & 15];
	}
	return out;
}

HexDigest hex(const Digest &digest) noexcept
{
	HexDigest out;
	for (std::size_t i = 0; i < digest.size(); i++) {
		out[2 * i] = kHexDigits[digest[i] >> 4];
		out[2 * i + 1] = kHexDigits[digest[i] & 15];
	}
	return out;
}

bool is_random_text(std::string_view text) noexcept
{
	return text.size() == kRandomChars &&
		   std::ranges::all_of(text, [](char c) { return sextet(c) != kForeign; });
}

std::string base64(std::string_view bytes)
{
	std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0'); // and a NUL, which OpenSSL writes
	EVP_EncodeBlock(reinterpret_cast<unsigned char *>(out.data()),
					reinterpret_cast<const unsigned char *>(bytes.data()),
					static_cast<int>(bytes.size()));
	out.pop_back();
	return out;
}

std::string base64url(std::string_view bytes)
{
	std::string out = base64(bytes);
	std::ranges::replace(out, '+', '-');
	std::ranges::replace(out, '/', '_');
	while (!out.empty() && out.back() == '=')
		out.pop_back();
	return out;
}

std::optional<std::string> base64url_decode(std::string_view text)
{
	std::string out;
	out.reserve(text.size() / 4 * 3 + 2);
	std::uint32_t bits = 0;
	int count = 0; // of bits that do not make a byte yet
	for (const char c : text) {
		const std::uint8_t six = sextet(c);
		if (six == kForeign)
			return std::nullopt;
		bits = bits << 6 | six;
		count += 6;
		if (count >= 8) {
			count -= 8;
			out += static_cast<char>(bits >> count & 0xff);
		}
	}
	// A character too many, or unused bits that are set.
	if (count == 6 || (bits & ((1u << count) - 1)) != 0)
		return std::nullopt;
	return out;
}

std::string code_challenge(std::string_view code_verifier)
{
	const Digest digest = sha256(code_verifier);
	return base64url({reinterpret_cast<const char *>(digest.data()), digest.size()});
}

} // namespace common
