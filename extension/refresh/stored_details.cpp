#include "refresh/stored_details.hpp"

#include "postgres/member_query.hpp"
#include "refresh/client.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

const Jsonb *read_json(const Identity &identity)
{
	static MemberQuery statement = {
		"SELECT c.details FROM oauth_tokens_internal.connection($1, $2, $3, $4) c"};
	if (run(statement, {{UUIDOID, identity.workspace_id()},
						{TEXTOID, identity.provider()},
						{TEXTOID, actor_type_text(identity)},
						{TEXTOID, identity.actor_id()}}) == 0)
		return nullptr;
	bool is_null;
	const Datum details = returned(1, &is_null);
	return is_null ? nullptr : reinterpret_cast<const Jsonb *>(PG_DETOAST_DATUM_COPY(details));
}

JsonbValue *member(const Jsonb *json, const char *name, jbvType type)
{
	if (json == nullptr)
		return nullptr;
	JsonbValue *value = getKeyJsonValueFromContainer(const_cast<JsonbContainer *>(&json->root),
													 name, static_cast<int>(strlen(name)), nullptr);
	return value != nullptr && value->type == type ? value : nullptr;
}

const text *text_member(const Jsonb *json, const char *name)
{
	const JsonbValue *value = member(json, name, jbvString);
	return value == nullptr
			   ? nullptr
			   : cstring_to_text_with_len(value->val.string.val, value->val.string.len);
}

} // namespace

StoredDetails stored_details(const Identity &identity)
{
	StoredDetails details = {};
	details.json = read_json(identity);
	details.owner = {text_member(details.json, "account_id"), text_member(details.json, "issuer"),
					 text_member(details.json, "client_id")};
	details.client_id =
		client_name(details.owner.client_id == nullptr ? "" : view_of(details.owner.client_id));
	if (const JsonbValue *value = member(details.json, "lifetime", jbvNumeric)) {
		const float8 seconds = DatumGetFloat8(
			DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
		details.lifetime = static_cast<TimestampTz>(seconds * USECS_PER_SEC);
	}
	return details;
}

} // namespace oauth_tokens
