#include "refresh/stored_details.hpp"

#include "flow/statement.hpp"

namespace oauth_tokens
{

namespace
{

const Jsonb *read_json(const Identity &identity)
{
	static FlowStatement<4> statement = {
		"SELECT c.details FROM oauth_tokens_internal.connection($1, $2, $3, $4) c",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID}};
	Datum values[] = {identity.workspace_id(), identity.provider(), actor_type_text(identity),
					  identity.actor_id()};
	if (run(statement, values) == 0)
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

// An index takes no text of any length. The end of a long one is its hash.
Datum short_name(std::string_view client_id)
{
	constexpr int kMostBytes = 512;
	const int size = static_cast<int>(client_id.size());
	if (size <= kMostBytes)
		return PointerGetDatum(cstring_to_text_with_len(client_id.data(), size));
	const std::uint64_t hash =
		hash_bytes_extended(reinterpret_cast<const unsigned char *>(client_id.data()), size, 0);
	return PointerGetDatum(
		cstring_to_text(psprintf("%.*s~%016llx", pg_mbcliplen(client_id.data(), size, kMostBytes),
								 client_id.data(), static_cast<unsigned long long>(hash))));
}

} // namespace

StoredDetails stored_details(const Identity &identity)
{
	StoredDetails details = {read_json(identity), PointerGetDatum(cstring_to_text("")), 0};
	if (const JsonbValue *value = member(details.json, "client_id", jbvString))
		details.client_id =
			short_name({value->val.string.val, static_cast<std::size_t>(value->val.string.len)});
	if (const JsonbValue *value = member(details.json, "lifetime", jbvNumeric)) {
		const float8 seconds = DatumGetFloat8(
			DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
		details.lifetime = static_cast<TimestampTz>(seconds * USECS_PER_SEC);
	}
	return details;
}

} // namespace oauth_tokens
