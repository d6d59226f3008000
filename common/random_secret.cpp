#include "common/random_secret.hpp"

#include <algorithm>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/base64url.hpp"
#include "common/fernet_key.hpp"

namespace common
{

bool make_random_secret(RandomSecret &out) noexcept
{
	std::array<unsigned char, kRandomSecretBytes> bytes;
	if (RAND_priv_bytes(bytes.data(), bytes.size()) != 1)
		return false;
	// One character more: the padding, which is left out because a URL would have to escape it.
	std::array<char, fernet::base64url::encoded_chars(kRandomSecretBytes)> text;
	static_assert(text.size() == kRandomSecretChars + 1);
	fernet::base64url::encode(bytes, text.data());
	std::copy_n(text.begin(), kRandomSecretChars, out.begin());
	wipe(bytes.data(), bytes.size());
	wipe(text.data(), text.size());
	return true;
}

bool make_hash(std::string_view text, Hash &out) noexcept
{
	return EVP_Digest(text.data(), text.size(), out.data(), nullptr, EVP_sha256(), nullptr) == 1;
}

} // namespace common
