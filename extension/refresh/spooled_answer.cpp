#include "refresh/spooled_answer.hpp"

#include <cmath>

#include "errors.hpp"
#include "postgres/interval.hpp"
#include "postgres/subtransaction.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
}

namespace oauth_tokens
{

namespace
{

[[noreturn]] void raise_bad_answer(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_SPOOL_TEXT_INVALID), errmsg("the sealed answer is not as expected"),
			 errdetail_internal("%s.", detail),
			 errhint("It is a JSON object with access_token, refresh_token and scopes "
					 "(strings), expires_at (seconds since 1970 UTC) and details (an "
					 "object).")));
	pg_unreachable();
}

bool is_of_the_text(int sqlstate)
{
	const int category = ERRCODE_TO_CATEGORY(sqlstate);
	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

// PostgreSQL's own errors of JSON quote what they do not like, and that may be a token. So
// they are caught, which takes a subtransaction. Null if it is no JSON.
Jsonb *parse(char *json)
{
	Jsonb *parsed = nullptr;
	ErrorData *error = error_of(Keep::yes, [&] {
		parsed = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	});
	if (error == nullptr)
		return parsed;
	// Want of memory, say, tells nothing of the answer, which would be put aside for it.
	if (!is_of_the_text(error->sqlerrcode))
		ReThrowError(error);
	FreeErrorData(error);
	return nullptr;
}

JsonbValue *member(Jsonb *json, const char *name, jbvType type)
{
	JsonbValue *value =
		getKeyJsonValueFromContainer(&json->root, name, static_cast<int>(strlen(name)), nullptr);
	if (value == nullptr || value->type == jbvNull)
		return nullptr;
	if (value->type != type)
		raise_bad_answer(psprintf("Member %s is of the wrong type", name));
	return value;
}

const text *text_member(Jsonb *json, const char *name)
{
	const JsonbValue *value = member(json, name, jbvString);
	return value == nullptr
			   ? nullptr
			   : cstring_to_text_with_len(value->val.string.val, value->val.string.len);
}

const Jsonb *object_member(Jsonb *json, const char *name)
{
	JsonbValue *value = member(json, name, jbvBinary);
	if (value == nullptr)
		return nullptr;
	if (!JsonContainerIsObject(value->val.binary.data))
		raise_bad_answer(psprintf("Member %s is of the wrong type", name));
	return JsonbValueToJsonb(value);
}

bool read_expiry(Jsonb *json, TimestampTz *expires_at)
{
	const JsonbValue *value = member(json, "expires_at", jbvNumeric);
	if (value == nullptr)
		return false;
	const float8 seconds = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	constexpr float8 kEnd = 253402300800.0; // the year 10000
	if (!(seconds >= 0 && seconds < kEnd))
		raise_bad_answer("Member expires_at is out of range");
	*expires_at = timestamp_of_unix(static_cast<std::uint64_t>(seconds));
	return true;
}

} // namespace

SpooledAnswer read_spooled(const Attempt &attempt, const text *sealed)
{
	const Spooled spooled = open_spooled(attempt, sealed);
	text *json = from_utf8({spooled.data, spooled.size});
	wipe_spooled(spooled);
	if (json == nullptr)
		raise_bad_answer("It cannot be written in the encoding of this database");
	char *plain = text_to_cstring(json);
	common::wipe(json, VARSIZE_ANY(json));
	Jsonb *parsed = parse(plain);
	common::wipe(plain, strlen(plain));
	if (parsed == nullptr || !JB_ROOT_IS_OBJECT(parsed))
		raise_bad_answer("It is not a JSON object");
	SpooledAnswer answer = {{}, parsed};
	answer.grant.access_token = text_member(parsed, "access_token");
	if (answer.grant.access_token == nullptr)
		raise_bad_answer("It has no access_token");
	answer.grant.refresh_token = text_member(parsed, "refresh_token");
	answer.grant.scopes = text_member(parsed, "scopes");
	answer.grant.details = object_member(parsed, "details");
	answer.grant.expires = read_expiry(parsed, &answer.grant.expires_at);
	return answer;
}

void wipe_answer(const SpooledAnswer &answer)
{
	for (const text *value : {answer.grant.access_token, answer.grant.refresh_token})
		if (value != nullptr)
			common::wipe(const_cast<text *>(value), VARSIZE_ANY(value));
	common::wipe(answer.json, VARSIZE_ANY(answer.json));
}

} // namespace oauth_tokens
