// Tokens between SQL text and Fernet text.
//
// The plaintext under Fernet is UTF-8 in every database, so that other
// languages read it. No error here holds a byte of it.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/fernet_key.hpp"
#include "tokens/identity.hpp"

namespace oauth_tokens
{

inline constexpr int kMaxTokenBytes = 65536;

// Encrypts under the key ring. Raises OT006 for an empty token, OT007 for one
// over kMaxTokenBytes, 22021 for one that is not text in the database's encoding.
text *seal_token(const text *plaintext, const ValuePosition &place);

// Decrypts. Raises OT003 if no key opens it (the message names the place),
// OT010 if the plaintext is no text of this database.
text *open_token(const text *token, const ValuePosition &place);

// Whether open_token() would raise OT003 or OT010.
bool is_damaged(const text *token, const ValuePosition &place);

// Raises 42501 inside a security-restricted operation (ANALYZE, an index build,
// a materialized view): it would put plaintext on disk.
void refuse_restricted_operation();

inline std::string_view view_of(const text *value)
{
	return {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

// Conversions, also for the functions with an explicit key. `to_utf8` returns
// its argument if nothing needs converting; a copy is to be wiped.
std::string_view to_utf8(std::string_view value);

// The same for a text that names a row: what is no text of its encoding in a SQL_ASCII database
// counts as it is. False if it has a character that UTF-8 has not, or has for another one, too.
bool name_to_utf8(std::string_view name, std::string_view *utf8);

// The text of `utf8`, or null if the database's encoding cannot hold it.
text *from_utf8(std::string_view utf8);

// Seconds since 1970 UTC.
std::uint64_t unix_now();

} // namespace oauth_tokens
