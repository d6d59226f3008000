// Ties details to one refresh token: who signed in tells nothing of a token that
// something else has put in its place since. HMAC-SHA256 of the token's UTF-8,
// under a key that HKDF-SHA256 derives from the ring's key and from
//
//   info = "oauth_tokens refresh token digest" | 0x00 | the 16 bytes of the row's id
//
// so that it survives a move and a rotation, and equal tokens of two rows have
// unequal digests. Where its key has left the ring it fits nothing any more: then
// the refresh token counts as another's, until a grant brings one again.
#pragma once

#include "identity.hpp"

namespace oauth_tokens
{

// Of a refresh token in clear, in the database's encoding.
bytea *refresh_token_digest(const text *refresh_token, const pg_uuid_t &id);

// The digest by the ring's first key where `digest` is that of an encrypted
// refresh token; null where it is not, or where no key opens the token.
bytea *renewed_refresh_token_digest(const bytea *digest, const text *encrypted_refresh_token,
									const Identity &identity, const pg_uuid_t &id);

} // namespace oauth_tokens
