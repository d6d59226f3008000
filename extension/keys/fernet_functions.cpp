// fernet_generate_key, fernet_encrypt, fernet_decrypt, fernet_timestamp: the
// Fernet specification with an explicit key, without the key ring or the table.

#include "common/fernet.hpp"

#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

enum class Outcome { done, bad_key, bad_token, failed };

// These hold a Key and a Cipher, which have destructors, and so call nothing of
// PostgreSQL's.
Outcome encrypt_with(std::string_view key_text, std::string_view plaintext, std::uint64_t now,
					 std::span<char> out)
{
	const auto key = common::fernet::Key::parse(key_text);
	if (!key)
		return Outcome::bad_key;
	common::fernet::Cipher cipher(*key);
	common::fernet::Iv iv;
	return common::fernet::random_iv(iv) && cipher.encrypt(plaintext, now, iv, out)
			   ? Outcome::done
			   : Outcome::failed;
}

Outcome decrypt_with(std::string_view key_text, std::string_view token, const std::uint64_t *ttl,
					 std::uint64_t now, common::fernet::Bytes buffer, std::span<char> *plaintext)
{
	const auto key = common::fernet::Key::parse(key_text);
	if (!key)
		return Outcome::bad_key;
	common::fernet::Cipher cipher(*key);
	auto envelope = common::fernet::Envelope::decode(token, buffer);
	if (!envelope || !cipher.verify(*envelope))
		return Outcome::bad_token;
	if (ttl != nullptr && !common::fernet::is_fresh(envelope->timestamp(), now, *ttl))
		return Outcome::bad_token;
	const auto opened = cipher.decrypt(*envelope);
	if (!opened)
		return Outcome::bad_token;
	*plaintext = *opened;
	return Outcome::done;
}

bool write_new_key(std::span<char, common::fernet::kKeyChars> out)
{
	const auto key = common::fernet::Key::generate();
	if (key)
		key->write(out);
	return key.has_value();
}

void raise_unless_done(Outcome outcome)
{
	if (outcome == Outcome::bad_key)
		ereport(ERROR, (errcode(ERRCODE_KEY_MALFORMED), errmsg("the key is not a Fernet key"),
						errhint("A Fernet key is 44 characters of base64url, as "
								"fernet_generate_key() makes it. Of one in standard base64: "
								"translate(key, '+/', '-_').")));
	// One message for all bad tokens: to tell which check failed would be an oracle.
	if (outcome == Outcome::bad_token)
		ereport(ERROR, (errcode(ERRCODE_TOKEN_NOT_DECRYPTABLE),
						errmsg("the Fernet token cannot be decrypted"),
						errdetail("It is damaged, expired, or was made with another key.")));
	if (outcome == Outcome::failed)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL could not encrypt")));
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(fernet_generate_key)
{
	text *key = static_cast<text *>(palloc(VARHDRSZ + common::fernet::kKeyChars));
	SET_VARSIZE(key, VARHDRSZ + common::fernet::kKeyChars);
	raise_unless_done(write_new_key(std::span<char, common::fernet::kKeyChars>(
						  VARDATA(key), common::fernet::kKeyChars))
						  ? Outcome::done
						  : Outcome::failed);
	PG_RETURN_TEXT_P(key);
}

OAUTH_SECRET_FUNCTION(fernet_encrypt)
{
	const std::string_view plaintext = view_of(PG_GETARG_TEXT_PP(0));
	const text *key = PG_GETARG_TEXT_PP(1);
	const std::string_view utf8 = to_utf8(plaintext);
	const std::size_t size = common::fernet::token_chars(utf8.size());
	if (size > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the plaintext is too large")));
	text *token = static_cast<text *>(palloc(VARHDRSZ + size));
	SET_VARSIZE(token, VARHDRSZ + size);
	const Outcome outcome = encrypt_with(view_of(key), utf8, unix_now(), {VARDATA(token), size});
	if (utf8.data() != plaintext.data())
		common::wipe(const_cast<char *>(utf8.data()), utf8.size());
	raise_unless_done(outcome);
	PG_RETURN_TEXT_P(token);
}

// Not strict: a null ttl means no limit.
OAUTH_SECRET_FUNCTION(fernet_decrypt)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	refuse_restricted_operation();
	const std::string_view token = view_of(PG_GETARG_TEXT_PP(0));
	const text *key = PG_GETARG_TEXT_PP(1);
	std::uint64_t ttl = 0;
	if (!PG_ARGISNULL(2))
		ttl = microseconds_of(PG_GETARG_INTERVAL_P(2), "ttl");
	const std::size_t capacity = common::fernet::decoded_capacity(token.size());
	auto *buffer = static_cast<unsigned char *>(palloc(capacity));
	std::span<char> plaintext;
	raise_unless_done(decrypt_with(view_of(key), token, PG_ARGISNULL(2) ? nullptr : &ttl,
								   unix_now(), {buffer, capacity}, &plaintext));
	text *result = from_utf8({plaintext.data(), plaintext.size()});
	common::wipe(buffer, capacity);
	pfree(buffer);
	if (result == nullptr)
		ereport(ERROR, (errcode(ERRCODE_TOKEN_NOT_TEXT),
						errmsg("the decrypted token is not text of encoding %s",
							   GetDatabaseEncodingName())));
	PG_RETURN_TEXT_P(result);
}

OAUTH_FUNCTION(fernet_timestamp)
{
	const std::string_view token = view_of(PG_GETARG_TEXT_PP(0));
	const std::size_t capacity = common::fernet::decoded_capacity(token.size());
	auto *buffer = static_cast<unsigned char *>(palloc(capacity));
	const auto envelope = common::fernet::Envelope::decode(token, {buffer, capacity});
	if (!envelope)
		ereport(ERROR,
				(errcode(ERRCODE_TOKEN_NOT_DECRYPTABLE), errmsg("this is not a Fernet token"),
				 errhint("A Fernet token is base64url and begins with gAAAA.")));
	PG_RETURN_TIMESTAMPTZ(timestamp_of_unix(envelope->timestamp()));
}
