#include "postgres/member_query.hpp"

#include "errors.hpp"
#include "tokens/indexed_plan.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rls.h"
}

namespace oauth_tokens
{

namespace
{

[[noreturn]] void raise_openssl(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL could not %s", what),
					errhint("Its random generator or memory may be exhausted; try again.")));
	pg_unreachable();
}

} // namespace

int begin_row_security()
{
	if (row_security)
		return 0;
	const int nest_level = NewGUCNestLevel();
	set_config_option("row_security", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
					  false);
	return nest_level;
}

void end_row_security(int nest_level)
{
	if (nest_level != 0)
		AtEOXact_GUC(true, nest_level);
}

std::uint64_t run(MemberQuery &statement, Parameters parameters, bool only_read)
{
	SpiParameters given(parameters);
	const int nest_level = begin_row_security();
	if (statement.plan == nullptr) {
		SPIPlanPtr prepared = prepare_indexed_plan(statement.sql, given.count, given.types);
		if (prepared == nullptr)
			elog(ERROR, "could not prepare \"%s\": %s", statement.sql,
				 SPI_result_code_string(SPI_result));
		statement.plan = prepared;
	}
	const int result =
		execute_indexed_plan(statement.plan, given.values, given.nulls, only_read, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement.sql, SPI_result_code_string(result));
	end_row_security(nest_level);
	return SPI_processed;
}

Datum returned(int column, bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, is_null);
}

Datum returned(int column)
{
	bool is_null;
	return returned(column, &is_null);
}

const text *returned_text(int column)
{
	bool is_null;
	const Datum value = returned(column, &is_null);
	return is_null ? nullptr : DatumGetTextPCopy(value);
}

TimestampTz returned_time(int column)
{
	bool is_null;
	const Datum value = returned(column, &is_null);
	return is_null ? 0 : DatumGetTimestampTz(value);
}

Datum bytea_datum(const common::Hash &hash)
{
	return PointerGetDatum(
		cstring_to_text_with_len(reinterpret_cast<const char *>(hash.data()), hash.size()));
}

Datum text_datum(const common::RandomSecret &secret)
{
	return PointerGetDatum(cstring_to_text_with_len(secret.data(), secret.size()));
}

common::Hash flow_hash_of(std::string_view text)
{
	common::Hash hash;
	if (!common::make_hash(text, hash))
		raise_openssl("make a hash");
	return hash;
}

void new_flow_secret(common::RandomSecret &secret)
{
	if (!common::make_random_secret(secret))
		raise_openssl("make a secret");
}

} // namespace oauth_tokens
