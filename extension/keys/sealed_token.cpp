#include "keys/sealed_token.hpp"

#include "tokens/token_codec.hpp"

namespace oauth_tokens
{

namespace
{

common::fernet::Bytes buffer_for(const text *token)
{
	const std::size_t capacity = common::fernet::decoded_capacity(view_of(token).size());
	return {static_cast<unsigned char *>(palloc(capacity)), capacity};
}

// Wipes and frees the buffer that it was opened in.
text *seal_opened(const Opened &opened, const ValuePosition &place, common::fernet::Bytes buffer)
{
	const std::size_t size = common::fernet::token_chars(opened.plaintext.size());
	auto *sealed = static_cast<text *>(palloc(VARHDRSZ + size));
	SET_VARSIZE(sealed, VARHDRSZ + size);
	key_ring_seal({opened.plaintext.data(), opened.plaintext.size()}, opened.timestamp, place,
				  {VARDATA(sealed), size});
	common::wipe(buffer.data(), buffer.size());
	pfree(buffer.data());
	return sealed;
}

} // namespace

Signer signer_of(const text *token, const ValuePosition &place)
{
	const common::fernet::Bytes buffer = buffer_for(token);
	const Signer signer = key_ring_find_signer(view_of(token), place, buffer);
	pfree(buffer.data());
	return signer;
}

text *seal_anew(const text *token, const ValuePosition &from, const ValuePosition &to)
{
	const common::fernet::Bytes buffer = buffer_for(token);
	key_ring_check_place(to);
	const Opened opened = key_ring_open(view_of(token), from, buffer);
	if (opened.position == 0) {
		pfree(buffer.data());
		return nullptr;
	}
	return seal_opened(opened, to, buffer);
}

Finding seal_outdated(const text *token, const ValuePosition &place, text **sealed)
{
	const common::fernet::Bytes buffer = buffer_for(token);
	Opened opened;
	const Finding finding = key_ring_open_outdated(view_of(token), place, buffer, opened);
	if (finding == Finding::outdated)
		*sealed = seal_opened(opened, place, buffer);
	else
		pfree(buffer.data());
	return finding;
}

} // namespace oauth_tokens
