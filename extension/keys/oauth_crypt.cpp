// oauth_encrypt and oauth_decrypt: the key ring by itself, for moving a table
// over in one UPDATE; and what looks after values in place: the fingerprint of
// the key that opens one, and whether one is damaged.

#include "errors.hpp"
#include "keys/sealed_token.hpp"
#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

struct KnownPosition {
	Identity identity;
	bool has_identity;
	Column column;

	ValuePosition place() const { return {has_identity ? &identity : nullptr, column}; }
};

Column column_from_argument(const text *name)
{
	for (Column column : {Column::access_token, Column::refresh_token})
		if (view_of(name) == column_name(column))
			return column;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown column"),
					errhint("Use 'encrypted_access_token' or 'encrypted_refresh_token'.")));
	pg_unreachable();
}

// Arguments 1 to 4 are the identity, 5 is the column's name. A row whose NOT NULL was
// taken away may have a NULL in its identity: that is none, and its values count.
KnownPosition place_from_arguments(FunctionCallInfo fcinfo)
{
	KnownPosition known = {};
	known.column = column_from_argument(PG_GETARG_TEXT_PP(5));
	known.has_identity =
		!PG_ARGISNULL(1) && !PG_ARGISNULL(2) && !PG_ARGISNULL(3) && !PG_ARGISNULL(4);
	if (known.has_identity)
		known.identity = identity_from_arguments(fcinfo, 1, token_table());
	return known;
}

// Without a row, a value could only be sealed for all of them.
void refuse_if_bound(const char *function)
{
	if (key_ring_refuses(Sealing::shared))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("%s() with one argument is off, because oauth_tokens.key_binding "
							   "is bound",
							   function),
						errhint("Use the form with the identity and the column in which the value "
								"is stored.")));
}

bool has_no_value(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) || PG_ARGISNULL(5);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_SECRET_FUNCTION(oauth_encrypt)
{
	refuse_if_bound("oauth_encrypt");
	PG_RETURN_TEXT_P(seal_token(PG_GETARG_TEXT_PP(0), {}));
}

OAUTH_SECRET_FUNCTION(oauth_encrypt_at)
{
	const KnownPosition known = place_from_arguments(fcinfo);
	PG_RETURN_TEXT_P(seal_token(PG_GETARG_TEXT_PP(0), known.place()));
}

OAUTH_FUNCTION(oauth_decrypt)
{
	refuse_restricted_operation();
	refuse_if_bound("oauth_decrypt");
	PG_RETURN_TEXT_P(open_token(PG_GETARG_TEXT_PP(0), {}));
}

OAUTH_FUNCTION(oauth_decrypt_at)
{
	refuse_restricted_operation();
	if (has_no_value(fcinfo))
		PG_RETURN_NULL();
	const KnownPosition known = place_from_arguments(fcinfo);
	PG_RETURN_TEXT_P(open_token(PG_GETARG_TEXT_PP(0), known.place()));
}

OAUTH_FUNCTION(oauth_is_damaged)
{
	if (has_no_value(fcinfo))
		PG_RETURN_NULL();
	const KnownPosition known = place_from_arguments(fcinfo);
	PG_RETURN_BOOL(is_damaged(PG_GETARG_TEXT_PP(0), known.place()));
}

// Position in the key ring (from 1) of the key that signed a value; null for none.
OAUTH_FUNCTION(oauth_key_position)
{
	if (has_no_value(fcinfo))
		PG_RETURN_NULL();
	const KnownPosition known = place_from_arguments(fcinfo);
	const Signer signer = signer_of(PG_GETARG_TEXT_PP(0), known.place());
	if (signer.position == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(signer.position);
}

// Whether a key of the ring itself has sealed the value, which so opens in every row.
OAUTH_FUNCTION(oauth_is_shared)
{
	const Signer signer = signer_of(PG_GETARG_TEXT_PP(0), {});
	PG_RETURN_BOOL(signer.position != 0);
}

// The fingerprints of the key ring, in order.
OAUTH_FUNCTION(oauth_key_fingerprints)
{
	const int size = key_ring_size();
	Datum *fingerprints = static_cast<Datum *>(palloc(sizeof(Datum) * size));
	for (int i = 0; i < size; i++) {
		const auto digits = key_ring_fingerprint(i + 1);
		fingerprints[i] = PointerGetDatum(cstring_to_text_with_len(digits.data(), digits.size()));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(fingerprints, size, TEXTOID, -1, false, TYPALIGN_INT));
}
