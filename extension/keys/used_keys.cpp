#include "keys/used_keys.hpp"

#include "keys/key_ring.hpp"
#include "postgres/owner_query.hpp"

extern "C" {
#include "utils/builtins.h"
}

namespace oauth_tokens
{

void record_used_keys()
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.used_keys (fingerprint, first_used)"
		" VALUES ($1, $2) ON CONFLICT (fingerprint) DO NOTHING"};
	if (!key_ring_is_ready())
		return;
	const int keys = key_ring_size();
	for (int position = 1; position <= keys; position++) {
		const auto digits = key_ring_fingerprint(position);
		run_as_owner(statement, {as::text(cstring_to_text_with_len(digits.data(), digits.size())),
								 as::timestamptz(GetCurrentTimestamp())});
	}
}

} // namespace oauth_tokens
