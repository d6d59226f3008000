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

} // namespace

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

// The client may not be able to read the text itself.
void raise_no_bound_key(const ValuePosition &place)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
		 errmsg("the identity cannot be written as UTF-8"),
		 errdetail("It is of a token in workspace %s.",
				   DatumGetCString(DirectFunctionCall1(uuid_out, place.identity->workspace_id()))),
		 errhint("oauth_tokens.key_binding derives a key from it. Use another provider "
				 "or actor_id, or set oauth_tokens.key_binding to shared.")));
	pg_unreachable();
}

} // namespace oauth_tokens
