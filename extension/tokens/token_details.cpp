#include "tokens/token_details.hpp"

#include <initializer_list>

#include "errors.hpp"
#include "postgres/member_query.hpp"
#include "schema/details_policies.hpp"
#include "tokens/table_query.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

struct Field {
	const char *name;
	jbvType type;
	Oid stored_type;
};

// Positions in kFields.
constexpr int kAccount[] = {0, 2, 3}; // account_id, issuer, client_id
constexpr int kLifetime = 5;
constexpr int kRefreshExpiresIn = 6;

constexpr Field kFields[] = {{"account_id", jbvString, TEXTOID},
							 {"account_label", jbvString, TEXTOID},
							 {"issuer", jbvString, TEXTOID},
							 {"client_id", jbvString, TEXTOID},
							 {"extra", jbvBinary, JSONBOID},
							 {"lifetime", jbvNumeric, INTERVALOID},
							 {"refresh_expires_in", jbvNumeric, TIMESTAMPTZOID}};
constexpr int kFieldCount = lengthof(kFields);

// The object's members in the order of kFields.
struct Members {
	JsonbValue *values[kFieldCount];
};

[[noreturn]] void raise_bad_details(const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("details are not as expected"),
					errdetail_internal("%s.", detail),
					errhint("Pass an object with any of account_id, account_label, issuer, "
							"client_id (strings), extra (an object), lifetime and "
							"refresh_expires_in (seconds).")));
	pg_unreachable();
}

Members read_members(const Jsonb *details)
{
	if (!JB_ROOT_IS_OBJECT(details))
		raise_bad_details("The value is not an object");
	Members members = {};
	int known = 0;
	for (int i = 0; i < kFieldCount; i++) {
		JsonbValue *value =
			getKeyJsonValueFromContainer(const_cast<JsonbContainer *>(&details->root),
										 kFields[i].name, strlen(kFields[i].name), nullptr);
		if (value == nullptr)
			continue;
		known++;
		if (value->type == jbvNull)
			continue;
		const bool fits =
			value->type == kFields[i].type &&
			(value->type != jbvBinary || JsonContainerIsObject(value->val.binary.data));
		if (!fits)
			raise_bad_details(psprintf("Member %s is of the wrong type", kFields[i].name));
		members.values[i] = value;
	}
	// The name of an unknown member is not repeated: it may be anything.
	if (known != static_cast<int>(JB_ROOT_COUNT(details)))
		raise_bad_details("There is an unknown member");
	return members;
}

TimeOffset microseconds(const JsonbValue *seconds, int field)
{
	const float8 value = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(seconds->val.numeric)));
	if (!(value >= 0 && value <= PG_INT32_MAX))
		raise_bad_details(psprintf("Member %s is out of range", kFields[field].name));
	return static_cast<TimeOffset>(value) * USECS_PER_SEC;
}

// What is stored of refresh_expires_in is the moment that it means.
Datum member_datum(const JsonbValue *value, int field)
{
	if (value->type == jbvString)
		return PointerGetDatum(
			cstring_to_text_with_len(value->val.string.val, value->val.string.len));
	if (field == kRefreshExpiresIn)
		return TimestampTzGetDatum(GetCurrentTimestamp() + microseconds(value, field));
	if (field == kLifetime) {
		auto *lifetime = static_cast<Interval *>(palloc0(sizeof(Interval)));
		lifetime->time = microseconds(value, field);
		return IntervalPGetDatum(lifetime);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(const_cast<JsonbValue *>(value)));
}

// The parameters of a statement that writes details: identity, id, the members, digest.
constexpr int kLifetimeAt = kIdentityColumns + 1 + kLifetime;

SpiParameters written(const TokenTable &table, const Identity &identity, const pg_uuid_t &id,
					  const Jsonb *details, const bytea *digest)
{
	SpiParameters parameters = identity_parameters(table, identity, {as::uuid(&id)});
	const Members members = details == nullptr ? Members{} : read_members(details);
	for (int i = 0; i < kFieldCount; i++) {
		const JsonbValue *value = members.values[i];
		parameters.add({{kFields[i].stored_type, value == nullptr ? 0 : member_datum(value, i),
						 value == nullptr}});
	}
	parameters.add({as::bytea(digest)});
	return parameters;
}

template <typename BuildSql>
void run_following(PlanCache &kept, const TokenTable &table, BuildSql build_sql,
				   SpiParameters parameters, const Identity &from, const Identity &to)
{
	SPIPlanPtr plan = cached_plan(kept, table, build_sql, parameters.count, parameters.types);
	execute_following(plan, parameters.values, parameters.nulls, from, to);
}

// What a statement that wrote no row has left there. A trigger may leave a row out that is already
// as it would become; that one is not lost.
enum class Found { nothing, same, other };

// `wanted`: what the row's members and digest should be by now.
Found find_written(PlanCache &kept, const TokenTable &table, const char *wanted,
				   const SpiParameters &parameters, const Identity &identity)
{
	run_following(
		kept, table,
		[&] {
			return psprintf("SELECT ROW(account_id, account_label, issuer, client_id, extra,"
							" lifetime, refresh_expires_at, refresh_token_digest)"
							"::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(%s) FROM %s WHERE %s"
							" AND token_id OPERATOR(pg_catalog.=) $5",
							wanted, table.details_name, kWhereIdentity);
		},
		parameters, identity, identity);
	if (SPI_processed == 0)
		return Found::nothing;
	return DatumGetBool(returned(1)) ? Found::same : Found::other;
}

[[noreturn]] void raise_details_left_out()
{
	ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					errmsg("the details were not stored"),
					errdetail("A trigger on oauth_token_details left the row out.")));
	pg_unreachable();
}

// The members and the digest, as written() numbers them.
constexpr const char *kReplacing = "$6, $7, $8, $9, $10, $11, $12, $13";
constexpr const char *kRefreshing =
	"COALESCE($6, account_id), COALESCE($7, account_label), COALESCE($8, issuer),"
	" COALESCE($9, client_id), CASE WHEN $10 IS NULL THEN extra"
	" ELSE COALESCE(extra, '{}') OPERATOR(pg_catalog.||) $10 END, COALESCE($11, lifetime),"
	" COALESCE($12, refresh_expires_at), COALESCE($13, refresh_token_digest)";

} // namespace

void details_store(const TokenTable &table, const Identity &identity, const pg_uuid_t &id,
				   const Jsonb *details, const bytea *refresh_token_digest)
{
	static PlanCache kept, kept_look;
	if (!table.details_are_unique)
		raise_table_differs(table.details_name, "nothing keeps an identity unique");
	const SpiParameters parameters = written(table, identity, id, details, refresh_token_digest);
	run_following(
		kept, table,
		[&] {
			return psprintf(
				"INSERT INTO %s (workspace_id, provider, actor_type, actor_id, token_id,"
				" account_id, account_label, issuer, client_id, extra, lifetime,"
				" refresh_expires_at, refresh_token_digest, connected_at) VALUES ($1, $2, $3,"
				" $4, $5, %s, pg_catalog.now())"
				" ON CONFLICT (workspace_id, provider, actor_type, actor_id) DO UPDATE SET"
				" token_id = $5, account_id = $6, account_label = $7, issuer = $8,"
				" client_id = $9, extra = $10, lifetime = $11, refresh_expires_at = $12,"
				" refresh_token_digest = $13, connected_at = pg_catalog.now()",
				table.details_name, kReplacing);
		},
		parameters, identity, identity);
	if (SPI_processed != 1 &&
		find_written(kept_look, table, kReplacing, parameters, identity) != Found::same)
		raise_details_left_out();
}

void details_refresh(const TokenTable &table, const Identity &identity, const pg_uuid_t &id,
					 const Jsonb *details, const bytea *refresh_token_digest, TimestampTz lifetime)
{
	static PlanCache kept, kept_look;
	SpiParameters parameters = written(table, identity, id, details, refresh_token_digest);
	if (lifetime >= 0 && parameters.nulls[kLifetimeAt] == 'n') {
		auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
		interval->time = lifetime;
		parameters.values[kLifetimeAt] = IntervalPGetDatum(interval);
		parameters.nulls[kLifetimeAt] = ' ';
	}
	run_following(
		kept, table,
		[&] {
			return psprintf(
				"UPDATE %s SET (account_id, account_label, issuer, client_id, extra, lifetime,"
				" refresh_expires_at, refresh_token_digest) = ROW(%s)"
				" WHERE %s AND token_id OPERATOR(pg_catalog.=) $5",
				table.details_name, kRefreshing, kWhereIdentity);
		},
		parameters, identity, identity);
	if (SPI_processed != 0 || details == nullptr)
		return;
	switch (find_written(kept_look, table, kRefreshing, parameters, identity)) {
	case Found::nothing:
		details_store(table, identity, id, details, refresh_token_digest);
		break;
	case Found::same:
		break;
	case Found::other:
		raise_details_left_out();
	}
}

void check_details(const Jsonb *details)
{
	const Members members = read_members(details);
	for (const int field : {kLifetime, kRefreshExpiresIn})
		if (members.values[field] != nullptr)
			microseconds(members.values[field], field);
}

bool names_account(const Jsonb *details)
{
	if (details == nullptr)
		return false;
	const Members members = read_members(details);
	for (const int field : kAccount)
		if (members.values[field] == nullptr || members.values[field]->val.string.len == 0)
			return false;
	return true;
}

const bytea *details_digest(const TokenTable &table, const Identity &identity, const pg_uuid_t &id,
							const Jsonb *details)
{
	static PlanCache kept;
	const Members members = read_members(details);
	SpiParameters parameters = identity_parameters(table, identity, {as::uuid(&id)});
	for (const int field : kAccount)
		parameters.add({{TEXTOID, member_datum(members.values[field], field)}});
	run_following(
		kept, table,
		[&] {
			return psprintf("SELECT refresh_token_digest FROM %s WHERE %s"
							" AND token_id OPERATOR(pg_catalog.=) $5"
							" AND account_id OPERATOR(pg_catalog.=) $6"
							" AND issuer OPERATOR(pg_catalog.=) $7"
							" AND client_id OPERATOR(pg_catalog.=) $8",
							table.details_name, kWhereIdentity);
		},
		parameters, identity, identity);
	if (SPI_processed == 0)
		return nullptr;
	bool is_null;
	const Datum digest = returned(1, &is_null);
	return is_null ? nullptr : DatumGetByteaPP(digest);
}

void details_delete(const TokenTable &table, const Identity &identity)
{
	static PlanCache kept;
	run_following(
		kept, table,
		[&] { return psprintf("DELETE FROM %s WHERE %s", table.details_name, kWhereIdentity); },
		identity_parameters(table, identity), identity, identity);
}

GrantOwner details_take(const TokenTable &table, const Identity &identity, const pg_uuid_t &id)
{
	static PlanCache kept;
	run_following(
		kept, table,
		[&] {
			return psprintf("DELETE FROM %s WHERE %s RETURNING account_id, issuer, client_id,"
							" token_id OPERATOR(pg_catalog.=) $5",
							table.details_name, kWhereIdentity);
		},
		identity_parameters(table, identity, {as::uuid(&id)}), identity, identity);
	bool is_null;
	if (SPI_processed == 0 || !DatumGetBool(returned(4, &is_null)))
		return {};
	return {returned_text(1), returned_text(2), returned_text(3)};
}

void details_move(const TokenTable &table, const Identity &from, const Identity &to,
				  const pg_uuid_t &id)
{
	static PlanCache kept_delete;
	static PlanCache kept_update;
	// Details whose token is gone may lie where this one goes to.
	run_following(
		kept_delete, table,
		[&] {
			return psprintf("DELETE FROM %s WHERE %s AND token_id OPERATOR(pg_catalog.<>) $5",
							table.details_name, kWhereIdentity);
		},
		identity_parameters(table, to, {as::uuid(&id)}), from, to);

	run_following(
		kept_update, table,
		[&] {
			return psprintf("UPDATE %s SET workspace_id = $6, provider = $7, actor_type = $8,"
							" actor_id = $9 WHERE %s AND token_id OPERATOR(pg_catalog.=) $5",
							table.details_name, kWhereIdentity);
		},
		identity_parameters(table, from,
							{as::uuid(&id),
							 {UUIDOID, to.workspace_id()},
							 {TEXTOID, to.provider()},
							 {table.enum_type, to.actor_type()},
							 {TEXTOID, to.actor_id()}}),
		from, to);
}

} // namespace oauth_tokens
