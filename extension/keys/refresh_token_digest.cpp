#include "keys/refresh_token_digest.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "keys/key_ring.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;

struct Digest {
	unsigned char salt[kSaltBytes];
	unsigned char hash[kHashBytes];
};
static_assert(sizeof(Digest) == kSaltBytes + kHashBytes);

void fill_hash(Digest &digest, std::string_view utf8, const pg_uuid_t &id)
{
	const std::size_t size = kSaltBytes + UUID_LEN + utf8.size();
	auto *message = static_cast<unsigned char *>(palloc(size));
	memcpy(message, digest.salt, kSaltBytes);
	memcpy(message + kSaltBytes, id.data, UUID_LEN);
	memcpy(message + kSaltBytes + UUID_LEN, utf8.data(), utf8.size());
	const int made = EVP_Digest(message, size, digest.hash, nullptr, EVP_sha256(), nullptr);
	common::wipe(message, size);
	pfree(message);
	if (made != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL could not make a digest")));
}

bool fits(const bytea *stored, std::string_view utf8, const pg_uuid_t &id)
{
	if (view_of(stored).size() != sizeof(Digest))
		return false;
	Digest digest;
	memcpy(&digest, view_of(stored).data(), sizeof digest);
	Digest own = digest;
	fill_hash(own, utf8, id);
	return CRYPTO_memcmp(own.hash, digest.hash, sizeof own.hash) == 0;
}

} // namespace

bool is_digest_of_plain(const bytea *digest, const text *token, const pg_uuid_t &id)
{
	const std::string_view plain = view_of(token);
	const std::string_view utf8 = to_utf8(plain);
	const bool same = fits(digest, utf8, id);
	if (utf8.data() != plain.data())
		common::wipe(const_cast<char *>(utf8.data()), utf8.size());
	return same;
}

bytea *refresh_token_digest(const text *refresh_token, const pg_uuid_t &id)
{
	Digest digest;
	if (!pg_strong_random(digest.salt, sizeof digest.salt))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not get random bytes"),
						errhint("The system's random generator may be exhausted; try again.")));
	const std::string_view token = view_of(refresh_token);
	const std::string_view utf8 = to_utf8(token);
	fill_hash(digest, utf8, id);
	if (utf8.data() != token.data())
		common::wipe(const_cast<char *>(utf8.data()), utf8.size());
	return cstring_to_text_with_len(reinterpret_cast<const char *>(&digest), sizeof digest);
}

bool can_be_digest_of(const bytea *digest, const text *encrypted_refresh_token,
					  const Identity &identity, const pg_uuid_t &id)
{
	const std::string_view token = view_of(encrypted_refresh_token);
	const std::size_t capacity = common::fernet::decoded_capacity(token.size());
	auto *buffer = static_cast<unsigned char *>(palloc(capacity));
	const Opened opened = key_ring_open(token, {&identity, Column::refresh_token},
										{buffer, capacity}, Opens::everything);
	const bool can_be =
		opened.position == 0
			? common::fernet::Envelope::decode(token, {buffer, capacity}).has_value()
			: fits(digest, {opened.plaintext.data(), opened.plaintext.size()}, id);
	common::wipe(buffer, capacity);
	pfree(buffer);
	return can_be;
}

} // namespace oauth_tokens
