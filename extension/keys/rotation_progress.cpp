#include "keys/rotation_progress.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

void execute_progress(const char *sql, int count, Oid *types, Datum *values)
{
	if (SPI_execute_with_args(sql, count, types, values, nullptr, false, 0) < 0)
		elog(ERROR, "could not write to oauth_tokens_internal.key_rotations");
}

void warn_of_table(const RotationProgress &progress)
{
	if (progress.damaged > 0)
		ereport(WARNING, (errmsg_plural(INT64_FORMAT " value opens under no key of the ring",
										INT64_FORMAT " values open under no key of the ring",
										progress.damaged, progress.damaged),
						  errhint("SELECT * FROM oauth_tokens_damaged() lists them.")));
	if (progress.refused > 0)
		ereport(WARNING,
				(errmsg_plural(INT64_FORMAT " value is sealed for oauth_tokens.key_binding = "
											"shared, and is left as it is",
							   INT64_FORMAT " values are sealed for oauth_tokens.key_binding = "
											"shared, and are left as they are",
							   progress.refused, progress.refused),
				 errhint("If you trust them, set oauth_tokens.key_binding to migrating and call "
						 "oauth_rotate_keys() again. SELECT * FROM oauth_tokens_damaged() lists "
						 "them.")));
	if (progress.unbindable > 0)
		ereport(WARNING,
				(errmsg_plural(INT64_FORMAT " value cannot be bound to its row, and is left as "
											"it is: UTF-8 has not the characters of its identity",
							   INT64_FORMAT " values cannot be bound to their rows, and are left "
											"as they are: UTF-8 has not the characters of their "
											"identities",
							   progress.unbindable, progress.unbindable),
				 errdetail_internal("The first one: %s.", progress.unbindable_row),
				 errhint("Give these tokens another identity with oauth_move(), or delete them, "
						 "and call oauth_rotate_keys() again.")));
}

// The queue of revocations: nothing else outside the table stays as it is.
void warn_of_queue(const Resealed &flows)
{
	const int64 stuck = flows.damaged + flows.refused;
	if (stuck > 0)
		ereport(
			WARNING,
			(errmsg_plural(INT64_FORMAT " value of a deleted token that waits to be revoked does "
										"not open, and is left as it is",
						   INT64_FORMAT " values of deleted tokens that wait to be revoked do "
										"not open, and are left as they are",
						   stuck, stuck),
			 flows.refused > 0
				 ? errhint(
					   "Those that are sealed for oauth_tokens.key_binding = shared (" INT64_FORMAT
					   ") are revoked if you set it to migrating. Call oauth_rotate_keys() "
					   "then, before you set it to bound again.",
					   flows.refused)
				 : errhint("Put the key that they were written with back into the key ring.")));
	if (flows.unbindable > 0)
		ereport(WARNING,
				(errmsg_plural(INT64_FORMAT " value of a deleted token that waits to be revoked "
											"cannot be bound, and is left as it is",
							   INT64_FORMAT " values of deleted tokens that wait to be revoked "
											"cannot be bound, and are left as they are",
							   flows.unbindable, flows.unbindable),
				 errhint("Wait until they are revoked, before you set oauth_tokens.key_binding to "
						 "bound.")));
}

} // namespace

Fingerprint first_key()
{
	Fingerprint fingerprint;
	std::ranges::copy(key_ring_fingerprint(1), fingerprint.begin());
	return fingerprint;
}

void begin_progress(RotationProgress &progress)
{
	const Fingerprint key = first_key();
	Oid types[] = {TEXTOID};
	Datum values[] = {PointerGetDatum(cstring_to_text_with_len(key.data(), key.size()))};
	execute_progress("INSERT INTO oauth_tokens_internal.key_rotations (fingerprint)"
					 " VALUES ($1) RETURNING id",
					 1, types, values);
	bool is_null;
	progress.id =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	// This session may not have seen a reload yet, so say which key is meant.
	ereport(INFO, (errmsg("oauth_rotate_keys: the key with fingerprint %.*s is the first",
						  static_cast<int>(key.size()), key.data())));
}

void record_progress(const RotationProgress &progress, bool finished)
{
	Oid types[] = {INT8OID, INT8OID, INT8OID, BOOLOID};
	Datum values[] = {Int64GetDatum(progress.id), Int64GetDatum(progress.rotated),
					  Int64GetDatum(progress.damaged), BoolGetDatum(finished)};
	execute_progress("UPDATE oauth_tokens_internal.key_rotations SET values_rotated = $2,"
					 " values_damaged = $3, updated_at = pg_catalog.clock_timestamp(),"
					 " finished_at = CASE WHEN $4 THEN pg_catalog.clock_timestamp() END"
					 " WHERE id OPERATOR(pg_catalog.=) $1",
					 4, types, values);
}

void tell_of_progress(const RotationProgress &progress)
{
	ereport(INFO,
			(errmsg("oauth_rotate_keys: " INT64_FORMAT " values re-encrypted", progress.rotated)));
}

void warn_of_what_stays(const RotationProgress &progress)
{
	warn_of_table(progress);
	warn_of_queue(progress.flows);
}

} // namespace oauth_tokens
