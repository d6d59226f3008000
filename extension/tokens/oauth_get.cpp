// oauth_get and oauth_access_token: a token in clear, by its identity.

#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "tokens/access_token.hpp"
#include "tokens/get_result.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

struct Get {
	Identity identity;
	ReturnSetInfo *result;
};

void visit(const TokenRow &row, void *state)
{
	const Get &get = *static_cast<Get *>(state);
	return_row(row, get.identity, get.result);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

// Strict: no row for a null identity, as in a join.
OAUTH_FUNCTION(oauth_get)
{
	refuse_restricted_operation();
	ReturnSetInfo *result = begin_result(fcinfo);
	Get get = {identity_from_arguments(fcinfo, 0, lock_token_table(AccessShareLock)), result};
	visit_token_row(get.identity, Reads::everything, visit, &get);
	PG_RETURN_NULL();
}

OAUTH_FUNCTION(oauth_access_token)
{
	refuse_restricted_operation();
	const AccessToken found =
		look_up_access_token(identity_from_arguments(fcinfo, 0, lock_token_table(AccessShareLock)),
							 expiry_after(microseconds_of(PG_GETARG_INTERVAL_P(4), "min_ttl")));
	if (found.token == nullptr)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(found.token);
}
