// Ties details to one refresh token: who signed in tells nothing of a token that
// something else has put in its place since. The digest is
//
//   16 random bytes | SHA-256 of (these 16 bytes | the 16 bytes of the row's id | the token's
//   UTF-8)
//
// so that no key is needed to compare it: it survives a move, every rotation and
// the removal of every key (docs/design/threats.md, E23). Equal tokens of two rows have unequal
// digests, and one that was copied to another row matches nothing there. A
// reader of a digest can try guesses, but a refresh token must not be guessable (RFC 6749,
// section 10.10).
#pragma once

#include "postgres/compat.hpp"
#include "tokens/identity.hpp"

extern "C" {
#include "utils/uuid.h"
}

namespace oauth_tokens
{

// Of a refresh token in clear, in the database's encoding. Raises XX000 if no
// random bytes can be had.
bytea *refresh_token_digest(const text *refresh_token, const pg_uuid_t &id);

// Whether `digest` is that of a token in clear, in the database's encoding. Compares in
// constant time. An attempt at a refresh keeps a digest of the access token, too.
bool is_digest_of_plain(const bytea *digest, const text *token, const pg_uuid_t &id);

// False if `digest` is known to be of another token than the encrypted one. A token that
// oauth_tokens.key_binding refuses is opened all the same. If no key opens it, nothing is known,
// and it cannot be used either: the key may come back, unless it is no Fernet token at all.
// Compares in constant time.
bool can_be_digest_of(const bytea *digest, const text *encrypted_refresh_token,
					  const Identity &identity, const pg_uuid_t &id);

} // namespace oauth_tokens
