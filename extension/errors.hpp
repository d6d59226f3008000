// The SQLSTATEs of our own, all of them (class OT). docs/sql.md lists them for
// users; a check compares the two lists. If PostgreSQL has a fitting code,
// that one is used: 22004 null identity, 22023 unknown actor_type or other bad
// argument, 22021 text that cannot be converted, 25001 rotation inside a
// transaction, 42501 missing right.
#pragma once

#include "postgres/compat.hpp"

namespace oauth_tokens
{

inline constexpr int ERRCODE_KEY_MISSING = MAKE_SQLSTATE('O', 'T', '0', '0', '1');
inline constexpr int ERRCODE_KEY_MALFORMED = MAKE_SQLSTATE('O', 'T', '0', '0', '2');
inline constexpr int ERRCODE_TOKEN_NOT_DECRYPTABLE = MAKE_SQLSTATE('O', 'T', '0', '0', '3');
inline constexpr int ERRCODE_NOT_MIGRATED = MAKE_SQLSTATE('O', 'T', '0', '0', '4');
inline constexpr int ERRCODE_TABLE_DIFFERS = MAKE_SQLSTATE('O', 'T', '0', '0', '5');
inline constexpr int ERRCODE_TOKEN_EMPTY = MAKE_SQLSTATE('O', 'T', '0', '0', '6');
inline constexpr int ERRCODE_TOKEN_TOO_LARGE = MAKE_SQLSTATE('O', 'T', '0', '0', '7');
inline constexpr int ERRCODE_IDENTITY_TOO_LONG = MAKE_SQLSTATE('O', 'T', '0', '0', '8');
inline constexpr int ERRCODE_EXPIRY_INVALID = MAKE_SQLSTATE('O', 'T', '0', '0', '9');
inline constexpr int ERRCODE_TOKEN_NOT_TEXT = MAKE_SQLSTATE('O', 'T', '0', '1', '0');
inline constexpr int ERRCODE_TOKENS_REMAIN = MAKE_SQLSTATE('O', 'T', '0', '1', '1');
inline constexpr int ERRCODE_FLOW_UNKNOWN = MAKE_SQLSTATE('O', 'T', '0', '1', '2');
inline constexpr int ERRCODE_NO_PUBLIC_URL = MAKE_SQLSTATE('O', 'T', '0', '1', '3');
inline constexpr int ERRCODE_PROVIDER_UNKNOWN = MAKE_SQLSTATE('O', 'T', '0', '1', '4');
inline constexpr int ERRCODE_RETURN_TO_REFUSED = MAKE_SQLSTATE('O', 'T', '0', '1', '5');
inline constexpr int ERRCODE_OTHER_CACHE = MAKE_SQLSTATE('O', 'T', '0', '1', '6');
inline constexpr int ERRCODE_CLUSTER_NOT_ADOPTED = MAKE_SQLSTATE('O', 'T', '0', '1', '7');
inline constexpr int ERRCODE_SPOOL_TEXT_INVALID = MAKE_SQLSTATE('O', 'T', '0', '1', '8');
inline constexpr int ERRCODE_NEEDS_REAUTHORIZATION = MAKE_SQLSTATE('O', 'T', '0', '1', '9');
inline constexpr int ERRCODE_NO_REFRESH_TOKEN = MAKE_SQLSTATE('O', 'T', '0', '2', '0');
inline constexpr int ERRCODE_NOBODY_LISTENS = MAKE_SQLSTATE('O', 'T', '0', '2', '1');
inline constexpr int ERRCODE_NOT_REFRESHED = MAKE_SQLSTATE('O', 'T', '0', '2', '2');

} // namespace oauth_tokens
