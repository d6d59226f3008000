#include "fresh_token/requested_identity.hpp"

extern "C" {
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
}

namespace oauth_tokens
{

namespace
{

std::uint64_t add_to_hash(std::uint64_t hash, const void *bytes, int size)
{
	return hash_bytes_extended(static_cast<const unsigned char *>(bytes), size, hash);
}

std::uint64_t add_text_to_hash(std::uint64_t hash, Datum value)
{
	const text *packed = DatumGetTextPP(value);
	return add_to_hash(hash, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
}

std::uint16_t copy_text(char *to, Datum value)
{
	const text *from = DatumGetTextPP(value);
	memcpy(to, VARDATA_ANY(from), VARSIZE_ANY_EXHDR(from));
	return VARSIZE_ANY_EXHDR(from);
}

bool is_same_bytes(const char *one, std::uint16_t size, const char *other, std::uint16_t other_size)
{
	return size == other_size && memcmp(one, other, size) == 0;
}

} // namespace

std::uint64_t identity_hash(const Datum *values)
{
	const Oid actor_type = DatumGetObjectId(values[2]);
	std::uint64_t hash = add_to_hash(0, DatumGetUUIDP(values[0]), sizeof(pg_uuid_t));
	hash = add_text_to_hash(hash, values[1]);
	hash = add_to_hash(hash, &actor_type, sizeof actor_type);
	return add_text_to_hash(hash, values[3]);
}

RequestedIdentity requested_identity(const Identity &identity)
{
	identity_check_storable(identity);
	RequestedIdentity requested;
	const char *label = DatumGetCString(DirectFunctionCall1(enum_out, identity.actor_type()));
	requested.hash = identity_hash(identity.values);
	requested.workspace_id = *DatumGetUUIDP(identity.workspace_id());
	requested.provider_bytes = copy_text(requested.provider, identity.provider());
	requested.actor_type_bytes = strlen(label);
	memcpy(requested.actor_type, label, requested.actor_type_bytes);
	requested.actor_id_bytes = copy_text(requested.actor_id, identity.actor_id());
	return requested;
}

bool is_same(const RequestedIdentity &one, const RequestedIdentity &other)
{
	return one.hash == other.hash &&
		   memcmp(&one.workspace_id, &other.workspace_id, sizeof one.workspace_id) == 0 &&
		   is_same_bytes(one.provider, one.provider_bytes, other.provider, other.provider_bytes) &&
		   is_same_bytes(one.actor_type, one.actor_type_bytes, other.actor_type,
						 other.actor_type_bytes) &&
		   is_same_bytes(one.actor_id, one.actor_id_bytes, other.actor_id, other.actor_id_bytes);
}

void put_identity(const RequestedIdentity &identity, Datum *values)
{
	auto *workspace_id = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
	*workspace_id = identity.workspace_id;
	values[0] = UUIDPGetDatum(workspace_id);
	values[1] =
		PointerGetDatum(cstring_to_text_with_len(identity.provider, identity.provider_bytes));
	values[2] =
		PointerGetDatum(cstring_to_text_with_len(identity.actor_type, identity.actor_type_bytes));
	values[3] =
		PointerGetDatum(cstring_to_text_with_len(identity.actor_id, identity.actor_id_bytes));
}

} // namespace oauth_tokens
