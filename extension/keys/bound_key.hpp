// What the key of a bound value is derived from (common/token_key.hpp), of a place in this
// database.
#pragma once

#include <string_view>

#include "common/token_key.hpp"
#include "tokens/identity.hpp"

namespace oauth_tokens
{

using BoundKeyInfo = common::fernet::TokenKeyInfo;

// False if the place has no key of its own: its identity is not known, or has a character
// that UTF-8 has not. In a SQL_ASCII database texts are bytes, and count as they are.
bool bound_key_info(const ValuePosition &place, BoundKeyInfo &info);

inline std::string_view view_of(const BoundKeyInfo &info)
{
	return {info.data(), info.size()};
}

// An identity without a key of its own, as SQL takes it. What is not ASCII is escaped: the client
// may not be able to read it.
char *escaped_identity(const ValuePosition &place);

[[noreturn]] void raise_no_bound_key(const ValuePosition &place);

} // namespace oauth_tokens
