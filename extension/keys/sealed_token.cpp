#include "keys/sealed_token.hpp"

#include "tokens/token_codec.hpp"

namespace oauth_tokens
{

Signer signer_of(const text *token, const ValuePosition &place)
{
	const std::size_t capacity = common::fernet::decoded_capacity(view_of(token).size());
	auto *buffer = static_cast<unsigned char *>(palloc(capacity));
	const Signer signer = key_ring_find_signer(view_of(token), place, {buffer, capacity});
	pfree(buffer);
	return signer;
}

text *seal_anew(const text *token, const ValuePosition &from, const ValuePosition &to)
{
	const std::size_t capacity = common::fernet::decoded_capacity(view_of(token).size());
	auto *buffer = static_cast<unsigned char *>(palloc(capacity));
	key_ring_check_place(to);
	const Opened opened = key_ring_open(view_of(token), from, {buffer, capacity});
	if (opened.position == 0) {
		pfree(buffer);
		return nullptr;
	}
	const std::size_t size = common::fernet::token_chars(opened.plaintext.size());
	auto *sealed = static_cast<text *>(palloc(VARHDRSZ + size));
	SET_VARSIZE(sealed, VARHDRSZ + size);
	key_ring_seal({opened.plaintext.data(), opened.plaintext.size()}, opened.timestamp, to,
				  {VARDATA(sealed), size});
	common::wipe(buffer, capacity);
	pfree(buffer);
	return sealed;
}

} // namespace oauth_tokens
