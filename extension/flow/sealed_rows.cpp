#include "flow/sealed_rows.hpp"

#include "flow/sealed.hpp"
#include "flow/statement.hpp"
#include "function.hpp"
#include "key_ring.hpp"
#include "token_codec.hpp"

namespace oauth_tokens
{

namespace
{

// A confirmation can take 1.4 MB, and a page of them is in memory at once.
constexpr int kRowsPerPage = 50;

struct SealedTable {
	std::string_view purpose;
	// The name of the row that the statement returned as number `row`.
	std::string_view (*name)(std::uint64_t row);
	// Returns `sealed`, the primary key, and what else the name takes.
	FlowStatement<3> page;
	FlowStatement<3> reseal;
};

Datum column(std::uint64_t row, int number)
{
	bool is_null;
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &is_null);
}

std::string_view name_of_attempt(std::uint64_t row)
{
	return attempt_name(column(row, 2), column(row, 3));
}

std::string_view name_of_confirmation(std::uint64_t row)
{
	return confirmation_name(column(row, 2), column(row, 3), column(row, 4), column(row, 5),
							 column(row, 6));
}

SealedTable tables[] = {
	{kAttemptPurpose,
	 name_of_attempt,
	 {"SELECT sealed, state_hash, ticket_hash FROM oauth_tokens_internal.flow_attempts"
	  " WHERE state_hash OPERATOR(pg_catalog.>) $1 AND expires_at OPERATOR(pg_catalog.>) $2"
	  " ORDER BY state_hash LIMIT $3",
	  {BYTEAOID, TIMESTAMPTZOID, INT8OID}},
	 {"UPDATE oauth_tokens_internal.flow_attempts SET sealed = $3 WHERE state_hash"
	  " OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT state_hash"
	  " FROM oauth_tokens_internal.flow_attempts WHERE state_hash OPERATOR(pg_catalog.=) $1"
	  " AND sealed OPERATOR(pg_catalog.=) $2 FOR NO KEY UPDATE SKIP LOCKED))",
	  {BYTEAOID, TEXTOID, TEXTOID}}},
	{kGrantPurpose,
	 name_of_confirmation,
	 {"SELECT sealed, flow_hash, workspace_id, provider, actor_type, actor_id"
	  " FROM oauth_tokens_internal.flow_confirmations"
	  " WHERE flow_hash OPERATOR(pg_catalog.>) $1 AND expires_at OPERATOR(pg_catalog.>) $2"
	  " ORDER BY flow_hash LIMIT $3",
	  {BYTEAOID, TIMESTAMPTZOID, INT8OID}},
	 {"UPDATE oauth_tokens_internal.flow_confirmations SET sealed = $3 WHERE flow_hash"
	  " OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT flow_hash"
	  " FROM oauth_tokens_internal.flow_confirmations WHERE flow_hash OPERATOR(pg_catalog.=) $1"
	  " AND sealed OPERATOR(pg_catalog.=) $2 FOR NO KEY UPDATE SKIP LOCKED))",
	  {BYTEAOID, TEXTOID, TEXTOID}}},
};

// The rows that follow stand in SPI_tuptable; returns how many, and moves on.
std::uint64_t next_page(SealedPosition &position)
{
	SealedTable &table = tables[position.table];
	Datum values[] = {PointerGetDatum(cstring_to_text_with_len(
						  reinterpret_cast<const char *>(position.after), position.after_size)),
					  TimestampTzGetDatum(GetCurrentTimestamp()), Int64GetDatum(kRowsPerPage)};
	const std::uint64_t rows = run(table.page, values);
	if (rows < kRowsPerPage) {
		position.table++;
		position.after_size = 0;
		position.at_end = position.table == lengthof(tables);
		return rows;
	}
	const std::string_view last = view_of(DatumGetTextPP(column(rows - 1, 2)));
	position.after_size = Min(last.size(), sizeof position.after);
	memcpy(position.after, last.data(), position.after_size);
	return rows;
}

// Whether the row is now under the first key; false where somebody else holds it.
bool reseal_row(SealedTable &table, Datum sealed, Datum key, const SealedPlace &place,
				const OpenedInFlow &opened)
{
	Datum values[] = {key, sealed,
					  PointerGetDatum(seal_in_flow(opened.view(), place, opened.timestamp))};
	return run(table.reseal, values) > 0;
}

} // namespace

std::string_view attempt_name(Datum state_hash, Datum ticket_hash)
{
	StringInfoData name;
	initStringInfo(&name);
	for (const Datum hash : {state_hash, ticket_hash}) {
		const std::string_view bytes = view_of(DatumGetTextPP(hash));
		appendBinaryStringInfo(&name, bytes.data(), static_cast<int>(bytes.size()));
	}
	return {name.data, static_cast<std::size_t>(name.len)};
}

// Texts hold no NUL, which so ends each.
std::string_view confirmation_name(Datum flow_hash, Datum workspace_id, Datum provider,
								   Datum actor_type, Datum actor_id)
{
	StringInfoData name;
	initStringInfo(&name);
	const std::string_view hash = view_of(DatumGetTextPP(flow_hash));
	appendBinaryStringInfo(&name, hash.data(), static_cast<int>(hash.size()));
	appendBinaryStringInfo(&name, reinterpret_cast<const char *>(DatumGetUUIDP(workspace_id)->data),
						   UUID_LEN);
	for (const Datum part : {provider, actor_type, actor_id}) {
		const std::string_view bytes = view_of(DatumGetTextPP(part));
		appendBinaryStringInfo(&name, bytes.data(), static_cast<int>(bytes.size()));
		appendStringInfoChar(&name, '\0');
	}
	return {name.data, static_cast<std::size_t>(name.len)};
}

Resealed reseal_rows(SealedPosition &position)
{
	SealedTable &table = tables[position.table];
	const std::uint64_t rows = next_page(position);
	SPITupleTable *page = SPI_tuptable;
	Resealed result = {};
	for (std::uint64_t row = 0; row < rows; row++) {
		SPI_tuptable = page; // the statement before has left its own
		const Datum sealed = column(row, 1);
		const Datum key = column(row, 2);
		const SealedPlace place = {table.purpose, table.name(row)};
		const OpenedInFlow opened = open_in_flow(DatumGetTextPP(sealed), place);
		if (opened.data == nullptr)
			continue;
		if (opened.position > 1)
			(reseal_row(table, sealed, key, place, opened) ? result.done : result.left)++;
		wipe_opened(opened);
	}
	SPI_freetuptable(page);
	return result;
}

void count_sealed_rows(SealedUse *uses, int keys)
{
	SealedPosition position = {};
	while (!position.at_end) {
		const SealedTable &table = tables[position.table];
		const std::uint64_t rows = next_page(position);
		for (std::uint64_t row = 0; row < rows; row++) {
			const OpenedInFlow opened =
				open_in_flow(DatumGetTextPP(column(row, 1)), {table.purpose, table.name(row)});
			if (opened.data == nullptr)
				continue;
			if (opened.position <= keys) {
				SealedUse &use = uses[opened.position - 1];
				use.oldest = use.values == 0 ? opened.timestamp : Min(use.oldest, opened.timestamp);
				use.values++;
			}
			wipe_opened(opened);
		}
		SPI_freetuptable(SPI_tuptable);
	}
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_sealed_usage)
{
	constexpr int kColumns = 3;
	InitMaterializedSRF(fcinfo, 0);
	auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	const int keys = key_ring_size();
	auto *uses = static_cast<SealedUse *>(palloc0(sizeof(SealedUse) * keys));
	SPI_connect();
	count_sealed_rows(uses, keys);
	SPI_finish();
	for (int i = 0; i < keys; i++) {
		Datum values[kColumns] = {
			Int32GetDatum(i + 1), Int64GetDatum(uses[i].values),
			TimestampTzGetDatum(time_t_to_timestamptz(static_cast<pg_time_t>(uses[i].oldest)))};
		bool nulls[kColumns] = {false, false, uses[i].values == 0};
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	PG_RETURN_NULL();
}
