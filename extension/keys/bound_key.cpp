#include "keys/bound_key.hpp"

#include "tokens/token_codec.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

namespace
{

// Not by enum_out(), which raises if there is none.
const text *label_of(Datum actor_type)
{
	HeapTuple row = SearchSysCache1(ENUMOID, actor_type);
	if (!HeapTupleIsValid(row))
		return nullptr;
	const text *label =
		cstring_to_text(NameStr(reinterpret_cast<Form_pg_enum>(GETSTRUCT(row))->enumlabel));
	ReleaseSysCache(row);
	return label;
}

void append_escaped(StringInfo out, std::string_view name)
{
	appendStringInfoString(out, ", E'");
	for (const char c : name) {
		if (c >= ' ' && c <= '~' && c != '\'' && c != '\\')
			appendStringInfoChar(out, c);
		else
			appendStringInfo(out, "\\x%02x", static_cast<unsigned char>(c));
	}
	appendStringInfoChar(out, '\'');
}

} // namespace

char *escaped_identity(const ValuePosition &place)
{
	const Identity &identity = *place.identity;
	const text *label =
		place.actor_type == nullptr ? label_of(identity.actor_type()) : place.actor_type;
	StringInfoData out;
	initStringInfo(&out);
	appendStringInfo(&out, "(workspace_id, provider, actor_type, actor_id)=('%s'",
					 DatumGetCString(DirectFunctionCall1(uuid_out, identity.workspace_id())));
	append_escaped(&out, view_of(DatumGetTextPP(identity.provider())));
	append_escaped(&out, label == nullptr ? std::string_view() : view_of(label));
	append_escaped(&out, view_of(DatumGetTextPP(identity.actor_id())));
	appendStringInfoChar(&out, ')');
	return out.data;
}

bool bound_key_info(const ValuePosition &place, BoundKeyInfo &info)
{
	if (place.identity == nullptr)
		return false;
	const text *label =
		place.actor_type == nullptr ? label_of(place.identity->actor_type()) : place.actor_type;
	common::fernet::TokenPlace names = {};
	names.column = column_name(place.column);
	names.workspace_id = {
		reinterpret_cast<const char *>(DatumGetUUIDP(place.identity->workspace_id())->data),
		UUID_LEN};
	if (label == nullptr || !name_to_utf8(view_of(label), &names.actor_type) ||
		!name_to_utf8(view_of(DatumGetTextPP(place.identity->provider())), &names.provider) ||
		!name_to_utf8(view_of(DatumGetTextPP(place.identity->actor_id())), &names.actor_id))
		return false;
	const auto made = common::fernet::token_key_info(names);
	if (!made)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL could not make a digest")));
	info = *made;
	return true;
}

void raise_no_bound_key(const ValuePosition &place)
{
	ereport(ERROR, (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
					errmsg("the identity cannot be written as UTF-8"),
					errdetail_internal("It is %s.", escaped_identity(place)),
					errhint("oauth_tokens.key_binding derives a key from it. Use another provider "
							"or actor_id, or set oauth_tokens.key_binding to shared.")));
	pg_unreachable();
}

} // namespace oauth_tokens
