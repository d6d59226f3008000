#include "common/hkdf.hpp"

#include <array>
#include <memory>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

namespace common::fernet
{

namespace
{

struct Free {
	void operator()(EVP_KDF *kdf) const noexcept { EVP_KDF_free(kdf); }
	void operator()(EVP_KDF_CTX *context) const noexcept { EVP_KDF_CTX_free(context); }
};

OSSL_PARAM octets(const char *name, const void *data, std::size_t size) noexcept
{
	return OSSL_PARAM_construct_octet_string(name, const_cast<void *>(data), size);
}

} // namespace

bool hkdf_sha256(std::span<const unsigned char> secret, std::string_view salt,
				 std::string_view info, std::span<unsigned char> out) noexcept
{
	const std::unique_ptr<EVP_KDF, Free> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
	if (!kdf)
		return false;
	const std::unique_ptr<EVP_KDF_CTX, Free> context(EVP_KDF_CTX_new(kdf.get()));
	if (!context)
		return false;
	char digest[] = "SHA256";
	std::array<OSSL_PARAM, 5> parameters;
	std::size_t count = 0;
	parameters[count++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	parameters[count++] = octets(OSSL_KDF_PARAM_KEY, secret.data(), secret.size());
	if (!salt.empty())
		parameters[count++] = octets(OSSL_KDF_PARAM_SALT, salt.data(), salt.size());
	if (!info.empty())
		parameters[count++] = octets(OSSL_KDF_PARAM_INFO, info.data(), info.size());
	parameters[count] = OSSL_PARAM_construct_end();
	return EVP_KDF_derive(context.get(), out.data(), out.size(), parameters.data()) == 1;
}

std::optional<Key> derive_key(const Key &master, std::string_view info) noexcept
{
	std::array<unsigned char, kKeyBytes> bytes;
	std::optional<Key> key;
	if (hkdf_sha256(master.bytes(), {}, info, bytes))
		key.emplace(std::span<const unsigned char, kKeyBytes>(bytes));
	wipe(bytes.data(), bytes.size());
	return key;
}

} // namespace common::fernet
