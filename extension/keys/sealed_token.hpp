// Ciphertexts of the table as they are stored.
#pragma once

#include "keys/key_ring.hpp"

namespace oauth_tokens
{

// Who has sealed one, whatever oauth_tokens.key_binding is.
Signer signer_of(const text *token, const ValuePosition &place);

// Opens it in one place and seals it for another, as values are sealed now, with its own
// timestamp. Null if it does not open. The plaintext is wiped.
text *seal_anew(const text *token, const ValuePosition &from, const ValuePosition &to);

// What a rotation does with one: an outdated one is sealed anew for its own place.
Finding seal_outdated(const text *token, const ValuePosition &place, text **sealed);

} // namespace oauth_tokens
