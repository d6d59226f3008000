#include "tokens/identity.hpp"

#include "errors.hpp"
#include "postgres/function.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

namespace
{

// The label that was looked up last, and its value. Good while no enum has changed since.
struct KnownLabel {
	Oid enum_type;
	Datum value;
	int size;
	char label[NAMEDATALEN];
	std::uint64_t looked_at;
};
KnownLabel known_label = {};
std::uint64_t enum_changes = 1;

void enum_changed(Datum, int, uint32)
{
	enum_changes++;
}

bool is_known(const char *label, int size, Oid enum_type)
{
	return known_label.looked_at == enum_changes && known_label.enum_type == enum_type &&
		   known_label.size == size && memcmp(known_label.label, label, size) == 0;
}

// The column's value with this label, which need not end with a NUL.
Datum look_up_actor_type(const char *label, int size, Oid enum_type)
{
	NameData name = {};
	if (size < NAMEDATALEN)
		memcpy(NameStr(name), label, size);
	if (size >= NAMEDATALEN || !SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(enum_type),
													  CStringGetDatum(NameStr(name))))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown actor_type"),
						errdetail("Enum %s has no value of this name.", format_type_be(enum_type)),
						errhint("Use 'user' or 'api_key'.")));
	// Not from the cache alone: this refuses a value whose ADD may yet roll back.
	return DirectFunctionCall2(enum_in, CStringGetDatum(NameStr(name)),
							   ObjectIdGetDatum(enum_type));
}

Datum find_actor_type(const char *label, int size, Oid enum_type)
{
	if (likely(is_known(label, size, enum_type)))
		return known_label.value;
	const std::uint64_t changes = enum_changes;
	const Datum value = look_up_actor_type(label, size, enum_type);
	known_label.enum_type = enum_type;
	known_label.value = value;
	known_label.size = size;
	memcpy(known_label.label, label, size);
	known_label.looked_at = changes; // what changed meanwhile makes us look again
	return value;
}

Oid look_up_argument_type(FunctionCallInfo fcinfo, int number)
{
	const Oid type = get_fn_expr_argtype(fcinfo->flinfo, number);
	if (OidIsValid(type))
		return type;
	// Called without an expression, as a PL's fast path may: the declared type.
	Oid *declared;
	int count;
	get_func_signature(fcinfo->flinfo->fn_oid, &declared, &count);
	return declared[number];
}

// The type of actor_type in this call. It is kept, as a number, in fn_extra,
// which nothing else here uses: a scan calls for each row. All actor_types of
// one function are of one type.
Oid argument_type(FunctionCallInfo fcinfo, int number)
{
	void *&kept = fcinfo->flinfo->fn_extra;
	if (kept == nullptr)
		kept = reinterpret_cast<void *>(
			static_cast<std::uintptr_t>(look_up_argument_type(fcinfo, number)));
	return static_cast<Oid>(reinterpret_cast<std::uintptr_t>(kept));
}

Datum actor_type_from_argument(FunctionCallInfo fcinfo, int number, Oid enum_type)
{
	const Oid type = argument_type(fcinfo, number);
	if (type == enum_type)
		return PG_GETARG_DATUM(number);
	if (type == TEXTOID) {
		const text *label = PG_GETARG_TEXT_PP(number);
		return find_actor_type(VARDATA_ANY(label), VARSIZE_ANY_EXHDR(label), enum_type);
	}
	if (!type_is_enum(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("actor_type must be text or an enum, not %s", format_type_be(type))));
	const char *label = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(number)));
	return find_actor_type(label, strlen(label), enum_type);
}

void check_text(Datum value, const char *name, int max_bytes)
{
	const int size = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
	if (size == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is empty", name)));
	if (size > max_bytes)
		ereport(ERROR, (errcode(ERRCODE_IDENTITY_TOO_LONG), errmsg("%s is too long", name),
						errdetail("It has %d bytes; at most %d are allowed.", size, max_bytes),
						errhint("Use the provider's or the user's short identifier.")));
}

} // namespace

void identity_init()
{
	CacheRegisterSyscacheCallback(ENUMTYPOIDNAME, enum_changed, 0);
}

const char *column_name(Column column)
{
	return column == Column::access_token ? "encrypted_access_token" : "encrypted_refresh_token";
}

Identity identity_from_arguments(FunctionCallInfo fcinfo, int first, const TokenTable &table)
{
	static const char *const names[kIdentityColumns] = {"workspace_id", "provider", "actor_type",
														"actor_id"};
	for (int i = 0; i < kIdentityColumns; i++)
		refuse_null_argument(fcinfo, first + i, names[i]);
	Identity identity;
	identity.values[0] = PG_GETARG_DATUM(first);
	identity.values[1] = PointerGetDatum(PG_GETARG_TEXT_PP(first + 1));
	identity.values[2] = actor_type_from_argument(fcinfo, first + 2, table.enum_type);
	identity.values[3] = PointerGetDatum(PG_GETARG_TEXT_PP(first + 3));
	return identity;
}

bool is_same_identity(const Identity &one, const Identity &other)
{
	return memcmp(DatumGetUUIDP(one.workspace_id()), DatumGetUUIDP(other.workspace_id()),
				  UUID_LEN) == 0 &&
		   one.actor_type() == other.actor_type() &&
		   view_of(DatumGetTextPP(one.provider())) == view_of(DatumGetTextPP(other.provider())) &&
		   view_of(DatumGetTextPP(one.actor_id())) == view_of(DatumGetTextPP(other.actor_id()));
}

Datum actor_type_named(const text *label, const TokenTable &table)
{
	return find_actor_type(VARDATA_ANY(label), VARSIZE_ANY_EXHDR(label), table.enum_type);
}

Datum actor_type_text(const Identity &identity)
{
	return CStringGetTextDatum(
		DatumGetCString(DirectFunctionCall1(enum_out, identity.actor_type())));
}

void identity_check_storable(const Identity &identity)
{
	check_text(identity.provider(), "provider", kMaxProviderBytes);
	check_text(identity.actor_id(), "actor_id", kMaxActorIdBytes);
}

char *identity_describe(const Identity &identity)
{
	return psprintf("(workspace_id, provider, actor_type, actor_id)=(%s, %s, %s, %s)",
					DatumGetCString(DirectFunctionCall1(uuid_out, identity.workspace_id())),
					TextDatumGetCString(identity.provider()),
					DatumGetCString(DirectFunctionCall1(enum_out, identity.actor_type())),
					TextDatumGetCString(identity.actor_id()));
}

} // namespace oauth_tokens
