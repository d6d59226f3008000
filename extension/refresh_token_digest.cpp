#include "refresh_token_digest.hpp"

#include "key_ring.hpp"
#include "token_codec.hpp"

namespace oauth_tokens
{

namespace
{

constexpr std::string_view kPurpose = "oauth_tokens refresh token digest";

struct Info {
	char bytes[kPurpose.size() + 1 + UUID_LEN];

	std::string_view view() const { return {bytes, sizeof bytes}; }
};

Info info_of(const pg_uuid_t &id)
{
	Info info = {};
	memcpy(info.bytes, kPurpose.data(), kPurpose.size());
	memcpy(info.bytes + kPurpose.size() + 1, id.data, UUID_LEN);
	return info;
}

bytea *make_digest(std::string_view utf8, const pg_uuid_t &id)
{
	const Digest digest = key_ring_digest(utf8, info_of(id).view());
	return cstring_to_text_with_len(reinterpret_cast<const char *>(digest.data()), digest.size());
}

bool fits(const bytea *stored, std::string_view utf8, const pg_uuid_t &id)
{
	Digest digest;
	if (view_of(stored).size() != digest.size())
		return false;
	memcpy(digest.data(), view_of(stored).data(), digest.size());
	return key_ring_digest_fits(digest, utf8, info_of(id).view());
}

} // namespace

bytea *refresh_token_digest(const text *refresh_token, const pg_uuid_t &id)
{
	const std::string_view token = view_of(refresh_token);
	const std::string_view utf8 = to_utf8(token);
	bytea *digest = make_digest(utf8, id);
	if (utf8.data() != token.data())
		fernet::wipe(const_cast<char *>(utf8.data()), utf8.size());
	return digest;
}

bytea *renewed_refresh_token_digest(const bytea *digest, const text *encrypted_refresh_token,
									const Identity &identity, const pg_uuid_t &id)
{
	const std::string_view token = view_of(encrypted_refresh_token);
	const std::size_t capacity = fernet::decoded_capacity(token.size());
	auto *buffer = static_cast<unsigned char *>(palloc(capacity));
	const Opened opened =
		key_ring_open(token, {&identity, Column::refresh_token}, {buffer, capacity});
	const std::string_view utf8(opened.plaintext.data(), opened.plaintext.size());
	bytea *renewed =
		opened.position != 0 && fits(digest, utf8, id) ? make_digest(utf8, id) : nullptr;
	fernet::wipe(buffer, capacity);
	pfree(buffer);
	return renewed;
}

} // namespace oauth_tokens
