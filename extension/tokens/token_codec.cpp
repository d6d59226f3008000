#include "tokens/token_codec.hpp"

#include <ctime>

#include "errors.hpp"
#include "keys/sealed_token.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

// ASCII without NUL: the same bytes in every encoding a server can have.
bool is_plain_ascii(std::string_view value)
{
	const char *at = value.data();
	std::size_t left = value.size();
	for (; left >= 8; at += 8, left -= 8) {
		std::uint64_t chunk;
		memcpy(&chunk, at, 8);
		// A byte's high bit is set in `chunk` if it is not ASCII, and in the
		// difference if it is zero.
		if (((chunk | (chunk - 0x0101010101010101u)) & 0x8080808080808080u) != 0)
			return false;
	}
	for (; left > 0; at++, left--)
		if (static_cast<signed char>(*at) <= 0) // plain char is unsigned on ARM
			return false;
	return true;
}

// Converts between the database's encoding and UTF-8. pg_server_to_any() and
// its kin would print the offending bytes. Null if it cannot be done.
char *convert(std::string_view value, int from, int to, int *size)
{
	if (!pg_verify_mbstr(from, value.data(), value.size(), true) ||
		memchr(value.data(), '\0', value.size()) != nullptr)
		return nullptr;
	const Oid procedure = FindDefaultConversionProc(from, to);
	if (!OidIsValid(procedure))
		return nullptr;
	const std::size_t capacity = value.size() * MAX_CONVERSION_GROWTH + 1;
	char *out = static_cast<char *>(palloc(capacity));
	const int converted = pg_do_encoding_conversion_buf(
		procedure, from, to,
		const_cast<unsigned char *>(reinterpret_cast<const unsigned char *>(value.data())),
		value.size(), reinterpret_cast<unsigned char *>(out), capacity, true);
	if (converted != static_cast<int>(value.size())) {
		common::wipe(out, capacity);
		pfree(out);
		return nullptr;
	}
	*size = strlen(out);
	return out;
}

// In a SQL_ASCII database text is bytes, and these must be UTF-8 already.
bool server_holds_utf8()
{
	return GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII;
}

text *make_text(const char *data, std::size_t size)
{
	return cstring_to_text_with_len(data, size);
}

const char *token_name(const ValuePosition &place)
{
	if (place.identity == nullptr)
		return "the token";
	return place.column == Column::access_token ? "access_token" : "refresh_token";
}

// If a whole table is encrypted in one statement, it must be told which row.
int detail_of_position(const ValuePosition &place)
{
	return place.identity == nullptr ? 0 : errdetail("For %s.", identity_describe(*place.identity));
}

void check_token_size(std::string_view token, const ValuePosition &place)
{
	if (token.empty())
		ereport(ERROR, (errcode(ERRCODE_TOKEN_EMPTY), errmsg("%s is empty", token_name(place)),
						detail_of_position(place),
						errhint("Pass NULL for a refresh token that is not there; use "
								"oauth_delete() to forget a token.")));
	if (token.size() > kMaxTokenBytes)
		ereport(ERROR,
				(errcode(ERRCODE_TOKEN_TOO_LARGE),
				 errmsg("%s is too large: %zu bytes, and at most %d are allowed", token_name(place),
						token.size(), kMaxTokenBytes),
				 detail_of_position(place),
				 errhint("An OAuth token has a few kB at most; is this the whole response?")));
}

// It is stored all the same, because it may be intended. A provider's token does not look like
// this, and one that does costs one HMAC. A writer learns from the answer
// that a ciphertext, which it must have whole, was made under this server's ring:
// not of which row, and nothing of the plaintext. One who may write the table
// could tell that anyway, by reading the row that it was written to.
void tell_of_own_token(const text *plaintext, const ValuePosition &place)
{
	if (!view_of(plaintext).starts_with("gAAAA"))
		return;
	if (signer_of(plaintext, place).position != 0)
		ereport(NOTICE,
				(errmsg("%s is encrypted by this server already, and is encrypted once more",
						token_name(place)),
				 detail_of_position(place),
				 errhint("Pass the token in clear, or copy the column as it is.")));
}

// It opens in every row, so that it may be a copy from another one.
[[noreturn]] void raise_refused(const ValuePosition &place)
{
	ereport(ERROR,
			(errcode(ERRCODE_TOKEN_NOT_DECRYPTABLE),
			 errmsg("%s cannot be decrypted", column_name(place.column)),
			 errdetail("It is sealed for oauth_tokens.key_binding = shared, and the setting is "
					   "bound, for %s.",
					   identity_describe(*place.identity)),
			 errhint("If nobody can have put it there but its writer, set "
					 "oauth_tokens.key_binding to migrating, CALL oauth_rotate_keys(), and set "
					 "it to bound. Else store the token anew.")));
	pg_unreachable();
}

[[noreturn]] void raise_not_decryptable(const text *token, const ValuePosition &place)
{
	if (place.identity == nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_TOKEN_NOT_DECRYPTABLE), errmsg("the token cannot be decrypted"),
				 errdetail("No key of the server's key ring opens it.")));
	const Signer signer = signer_of(token, place);
	if (signer.position != 0 && key_ring_refuses(signer.sealing))
		raise_refused(place);
	ereport(ERROR,
			(errcode(ERRCODE_TOKEN_NOT_DECRYPTABLE),
			 errmsg("%s cannot be decrypted", column_name(place.column)),
			 errdetail("No key of the server's key ring opens it, for %s.",
					   identity_describe(*place.identity)),
			 key_ring_sealing(place) == Sealing::bound
				 ? errhint("It opens in the row and column only that it was sealed for, under "
						   "the key that it was written with. Put both back, or store the token "
						   "anew. oauth_tokens_damaged() lists all such values.")
				 : errhint("Put the key that it was written with back into the key ring, or "
						   "store the token anew. oauth_tokens_damaged() lists all such "
						   "values.")));
	pg_unreachable();
}

[[noreturn]] void raise_not_text(const ValuePosition &place)
{
	ereport(ERROR,
			(errcode(ERRCODE_TOKEN_NOT_TEXT),
			 errmsg("the decrypted token is not text of encoding %s", GetDatabaseEncodingName()),
			 place.identity == nullptr ? 0
									   : errdetail("It is %s of %s.", column_name(place.column),
												   identity_describe(*place.identity)),
			 errhint("A token must be UTF-8 without NUL, in characters that this database has.")));
	pg_unreachable();
}

// Opens `token` and makes text of it. Null with `undecryptable` if no key
// fits, null without it if the plaintext is no text. Holds one buffer, which is
// wiped but for the result.
text *try_open(const text *token, const ValuePosition &place, bool *undecryptable)
{
	const std::string_view fernet_text = view_of(token);
	const std::size_t capacity = common::fernet::decoded_capacity(fernet_text.size());
	text *result = static_cast<text *>(palloc(VARHDRSZ + capacity));
	auto *buffer = reinterpret_cast<unsigned char *>(VARDATA(result));
	const Opened opened = key_ring_open(fernet_text, place, {buffer, capacity});
	*undecryptable = opened.position == 0;
	if (opened.position == 0) {
		pfree(result); // decode and decrypt leave no plaintext behind
		return nullptr;
	}
	if (is_plain_ascii({opened.plaintext.data(), opened.plaintext.size()})) {
		SET_VARSIZE(result, VARHDRSZ + opened.plaintext.size());
		return result;
	}
	text *converted = from_utf8({opened.plaintext.data(), opened.plaintext.size()});
	common::wipe(buffer, capacity);
	pfree(result);
	return converted;
}

} // namespace

void refuse_restricted_operation()
{
	if (InSecurityRestrictedOperation())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("cannot decrypt a token within a security-restricted operation"),
						errdetail("An index, statistics or a materialized view would keep it on "
								  "disk in clear.")));
}

std::uint64_t unix_now()
{
	return static_cast<std::uint64_t>(std::time(nullptr));
}

std::string_view to_utf8(std::string_view value)
{
	if (is_plain_ascii(value))
		return value;
	if (server_holds_utf8()) {
		if (pg_verify_mbstr(PG_UTF8, value.data(), value.size(), true))
			return value;
	} else {
		int size = 0;
		if (const char *utf8 = convert(value, GetDatabaseEncoding(), PG_UTF8, &size))
			return {utf8, static_cast<std::size_t>(size)};
	}
	ereport(ERROR, (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
					errmsg("the token cannot be written as UTF-8"),
					errhint("OAuth tokens are ASCII; is this the token itself?")));
	pg_unreachable();
}

bool name_to_utf8(std::string_view name, std::string_view *utf8)
{
	*utf8 = name;
	if (server_holds_utf8() || is_plain_ascii(name))
		return true;
	int size = 0;
	const char *converted = convert(name, GetDatabaseEncoding(), PG_UTF8, &size);
	*utf8 = {converted, static_cast<std::size_t>(size)};
	if (converted == nullptr)
		return false;
	// Two characters may be one in UTF-8, as in EUC_JP: their rows would have one key.
	const char *back = convert(*utf8, PG_UTF8, GetDatabaseEncoding(), &size);
	return back != nullptr && name == std::string_view(back, static_cast<std::size_t>(size));
}

text *from_utf8(std::string_view utf8)
{
	if (is_plain_ascii(utf8))
		return make_text(utf8.data(), utf8.size());
	if (server_holds_utf8()) {
		const bool good = pg_verify_mbstr(PG_UTF8, utf8.data(), utf8.size(), true) &&
						  memchr(utf8.data(), '\0', utf8.size()) == nullptr;
		return good ? make_text(utf8.data(), utf8.size()) : nullptr;
	}
	int size = 0;
	char *converted = convert(utf8, PG_UTF8, GetDatabaseEncoding(), &size);
	if (converted == nullptr)
		return nullptr;
	text *result = make_text(converted, size);
	common::wipe(converted, size);
	pfree(converted);
	return result;
}

text *seal_token(const text *plaintext, const ValuePosition &place)
{
	const std::string_view token = view_of(plaintext);
	check_token_size(token, place);
	tell_of_own_token(plaintext, place);
	const std::string_view utf8 = to_utf8(token);
	const std::size_t size = common::fernet::token_chars(utf8.size());
	text *sealed = static_cast<text *>(palloc(VARHDRSZ + size));
	SET_VARSIZE(sealed, VARHDRSZ + size);
	key_ring_seal(utf8, unix_now(), place, {VARDATA(sealed), size});
	if (utf8.data() != token.data())
		common::wipe(const_cast<char *>(utf8.data()), utf8.size());
	return sealed;
}

text *open_token(const text *token, const ValuePosition &place)
{
	bool undecryptable;
	text *opened = try_open(token, place, &undecryptable);
	if (opened != nullptr)
		return opened;
	if (undecryptable)
		raise_not_decryptable(token, place);
	raise_not_text(place);
}

bool is_damaged(const text *token, const ValuePosition &place)
{
	bool undecryptable;
	text *opened = try_open(token, place, &undecryptable);
	if (opened == nullptr)
		return true;
	common::wipe(opened, VARSIZE(opened));
	pfree(opened);
	return false;
}

} // namespace oauth_tokens
