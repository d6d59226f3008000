// The queue of grants that are to be revoked at their provider: the table
// oauth_tokens_internal.oauth_revocations. A row's ciphertexts are sealed for the identity
// and the column that they had as a token's (docs/design/threats.md, E23: keys/sealed_columns.hpp
// lists them).
//
// Only what was deleted comes here. What was superseded, not confirmed or abandoned is
// never revoked (docs/design/threats.md, T15).
//
// Every function here runs within an SPI connection, and under a lock on the table of
// tokens that lock_token_table(RowExclusiveLock) takes: rotation waits for it.
#pragma once

#include "tokens/token_details.hpp"
#include "tokens/token_row.hpp"

namespace oauth_tokens
{

// Nothing is queued if there is no ciphertext. `unless_shared`: is_account_shared() is
// asked again before the provider is called.
void queue_revocation(const Identity &identity, const SealedTokens &tokens, const GrantOwner &owner,
					  bool unless_shared);

// For a refresh token that the provider has issued for a row which was deleted meanwhile,
// in clear. Raises what seal_token() does.
void queue_refresh_token(const Identity &identity, const text *refresh_token,
						 const GrantOwner &owner);

// Whether the caller sees another token of this provider, client and account: one
// revocation may end all grants of an account to a client. False if client or account
// is not known.
bool is_account_shared(const TokenTable &table, const Identity &identity, const GrantOwner &owner);

// The same, once the deletion has been committed: whether the identity has a token of this
// account again counts, too, and there an account that is not known may be the same.
bool is_connected_again(const TokenTable &table, const Identity &identity, const GrantOwner &owner);

// Has two who delete tokens of one account at the same time look at each other's one after
// the other, until the transaction ends: else each would leave the revocation to the other.
void lock_account(const Identity &identity, const GrantOwner &owner);

} // namespace oauth_tokens
