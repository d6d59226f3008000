// An identity in shared memory: its bytes, with no pointer to anything.
#pragma once

#include <cstdint>

#include "postgres/compat.hpp"
#include "tokens/identity.hpp"

extern "C" {
#include "utils/uuid.h"
}

namespace oauth_tokens
{

struct RequestedIdentity {
	std::uint64_t hash; // identity_hash()
	pg_uuid_t workspace_id;
	std::uint16_t provider_bytes;
	std::uint16_t actor_type_bytes;
	std::uint16_t actor_id_bytes;
	char provider[kMaxProviderBytes];
	char actor_type[NAMEDATALEN];
	char actor_id[kMaxActorIdBytes];
};

// Within one database; two identities may have the same. Takes values as they are in a
// row, also compressed ones.
std::uint64_t identity_hash(const Datum *values);

// Raises OT008 and 22023 as identity_check_storable() does.
RequestedIdentity requested_identity(const Identity &identity);

bool is_same(const RequestedIdentity &one, const RequestedIdentity &other);

// workspace_id, provider, actor_type as text, actor_id.
void put_identity(const RequestedIdentity &identity, Datum *values);

} // namespace oauth_tokens
