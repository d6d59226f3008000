#include "keys/sealed_columns.hpp"

#include "keys/key_ring.hpp"
#include "keys/sealed_value.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

namespace
{

// A confirmation can take 1.4 MB, and a page of them is in memory at once.
constexpr int kRowsPerPage = 50;

// A column with sealed values.
struct SealedColumn {
	// Opens `sealed` of the row that the statement returned as number `row`, and seals
	// what was in it anew.
	OpenedInFlow (*open)(std::uint64_t row, const text *sealed);
	text *(*seal)(std::uint64_t row, const OpenedInFlow &opened);
	// Whether its rows live for minutes: what no key opens any more is as good as expired.
	bool expires;
	Oid key_type; // of the primary key: a bytea of 32 bytes at most, a uuid or a bigint
	// Returns `sealed`, the primary key, and what else it takes to open.
	MemberQuery page;
	MemberQuery reseal;
};

Datum column(std::uint64_t row, int number)
{
	bool is_null;
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &is_null);
}

SealedSlot place_of_attempt(std::uint64_t row)
{
	return {kAttemptPurpose, attempt_name(column(row, 2), column(row, 3))};
}

SealedSlot place_of_confirmation(std::uint64_t row)
{
	return {kGrantPurpose, confirmation_name(column(row, 2), column(row, 3), column(row, 4),
											 column(row, 5), column(row, 6))};
}

SealedSlot place_of_spool_key(std::uint64_t row)
{
	return {kSpoolPurpose, spool_key_name(column(row, 2), column(row, 3))};
}

template <SealedSlot (*place)(std::uint64_t row)>
OpenedInFlow open_derived(std::uint64_t row, const text *sealed)
{
	return open_in_flow(sealed, place(row));
}

template <SealedSlot (*place)(std::uint64_t row)>
text *seal_derived(std::uint64_t row, const OpenedInFlow &opened)
{
	return seal_in_flow(opened.view(), place(row), opened.timestamp);
}

// A token that has left the table of tokens, and is sealed as it was there.
Identity identity_of_token(std::uint64_t row)
{
	return {{column(row, 3), column(row, 4), 0, column(row, 6)}};
}

const text *actor_type_of_token(std::uint64_t row)
{
	return DatumGetTextPP(column(row, 5));
}

template <Column token_column>
OpenedInFlow open_token_of(std::uint64_t row, const text *sealed)
{
	const std::string_view token = view_of(sealed);
	const std::size_t capacity = common::fernet::decoded_capacity(token.size());
	auto *buffer = static_cast<unsigned char *>(palloc(capacity));
	const Identity identity = identity_of_token(row);
	const ValuePosition place = {&identity, token_column, actor_type_of_token(row)};
	const Opened opened = key_ring_open(token, place, {buffer, capacity}, Opens::everything);
	if (opened.position == 0) {
		pfree(buffer);
		return {};
	}
	return {opened.plaintext.data(),
			opened.plaintext.size(),
			capacity,
			opened.position,
			opened.timestamp,
			opened.sealing == Sealing::shared,
			key_ring_judge({opened.position, opened.sealing}, place)};
}

template <Column token_column>
text *seal_token_of(std::uint64_t row, const OpenedInFlow &opened)
{
	const std::size_t size = common::fernet::token_chars(opened.size);
	auto *sealed = static_cast<text *>(palloc(VARHDRSZ + size));
	SET_VARSIZE(sealed, VARHDRSZ + size);
	const Identity identity = identity_of_token(row);
	key_ring_seal(opened.view(), opened.timestamp,
				  {&identity, token_column, actor_type_of_token(row)}, {VARDATA(sealed), size});
	return sealed;
}

// What is queued does not expire: $2 is for the others.
#define QUEUED_PAGE(name)                                                                          \
	"SELECT " name ", id, workspace_id, provider, actor_type, actor_id"                            \
	" FROM oauth_tokens_internal.oauth_revocations WHERE id OPERATOR(pg_catalog.>) $1"             \
	" AND " name " IS NOT NULL AND $2 IS NOT NULL ORDER BY id LIMIT $3"
// No row if somebody else holds it.
#define RESEAL(table, key, name)                                                                   \
	"UPDATE oauth_tokens_internal." table " SET " name " = $3 WHERE " key                          \
	" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT " key " FROM oauth_tokens_internal." table          \
	" WHERE " key " OPERATOR(pg_catalog.=) $1 AND " name " OPERATOR(pg_catalog.=) $2"              \
	" FOR NO KEY UPDATE SKIP LOCKED))"

SealedColumn columns[] = {
	{open_derived<place_of_attempt>,
	 seal_derived<place_of_attempt>,
	 true,
	 BYTEAOID,
	 {"SELECT sealed, state_hash, ticket_hash FROM oauth_tokens_internal.flow_attempts"
	  " WHERE state_hash OPERATOR(pg_catalog.>) $1 AND expires_at OPERATOR(pg_catalog.>) $2"
	  " ORDER BY state_hash LIMIT $3"},
	 {RESEAL("flow_attempts", "state_hash", "sealed")}},
	{open_derived<place_of_confirmation>,
	 seal_derived<place_of_confirmation>,
	 true,
	 BYTEAOID,
	 {"SELECT sealed, flow_hash, workspace_id, provider, actor_type, actor_id"
	  " FROM oauth_tokens_internal.flow_confirmations"
	  " WHERE flow_hash OPERATOR(pg_catalog.>) $1 AND expires_at OPERATOR(pg_catalog.>) $2"
	  " ORDER BY flow_hash LIMIT $3"},
	 {RESEAL("flow_confirmations", "flow_hash", "sealed")}},
	{open_derived<place_of_spool_key>,
	 seal_derived<place_of_spool_key>,
	 false,
	 INT8OID,
	 {"SELECT sealed, fence, token_id FROM oauth_tokens_internal.refresh_attempts"
	  " WHERE fence OPERATOR(pg_catalog.>) $1 AND $2 IS NOT NULL ORDER BY fence LIMIT $3"},
	 {RESEAL("refresh_attempts", "fence", "sealed")}},
	{open_token_of<Column::refresh_token>,
	 seal_token_of<Column::refresh_token>,
	 false,
	 UUIDOID,
	 {QUEUED_PAGE("encrypted_refresh_token")},
	 {RESEAL("oauth_revocations", "id", "encrypted_refresh_token")}},
	{open_token_of<Column::access_token>,
	 seal_token_of<Column::access_token>,
	 false,
	 UUIDOID,
	 {QUEUED_PAGE("encrypted_access_token")},
	 {RESEAL("oauth_revocations", "id", "encrypted_access_token")}},
};

// The key of the row before as the statement takes it; at the beginning the least one.
Datum key_of(const SealedPosition &position, Oid type)
{
	if (type == INT8OID) {
		int64 number = PG_INT64_MIN;
		memcpy(&number, position.after, position.after_size);
		return Int64GetDatum(number);
	}
	if (type == UUIDOID) {
		auto *id = static_cast<pg_uuid_t *>(palloc0(sizeof(pg_uuid_t)));
		memcpy(id->data, position.after, position.after_size);
		return UUIDPGetDatum(id);
	}
	return PointerGetDatum(cstring_to_text_with_len(reinterpret_cast<const char *>(position.after),
													position.after_size));
}

void keep_key(SealedPosition &position, const void *bytes, std::size_t size)
{
	position.after_size = Min(size, sizeof position.after);
	memcpy(position.after, bytes, position.after_size);
}

void go_past(SealedPosition &position, Datum key, Oid type)
{
	if (type == INT8OID) {
		const int64 number = DatumGetInt64(key);
		keep_key(position, &number, sizeof number);
	} else if (type == UUIDOID) {
		keep_key(position, DatumGetUUIDP(key)->data, UUID_LEN);
	} else {
		const std::string_view bytes = view_of(DatumGetTextPP(key));
		keep_key(position, bytes.data(), bytes.size());
	}
}

// The rows that follow stand in SPI_tuptable; returns how many, and moves on.
std::uint64_t next_page(SealedPosition &position)
{
	SealedColumn &sealed = columns[position.column];
	const std::uint64_t rows =
		run_as_owner(sealed.page, {{sealed.key_type, key_of(position, sealed.key_type)},
								   as::timestamptz(GetCurrentTimestamp()),
								   as::int8(kRowsPerPage)});
	if (rows < kRowsPerPage) {
		position.column++;
		position.after_size = 0;
		position.at_end = position.column == lengthof(columns);
	} else {
		go_past(position, column(rows - 1, 2), sealed.key_type);
	}
	return rows;
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

std::string_view spool_key_name(Datum fence, Datum token_id)
{
	StringInfoData name;
	initStringInfo(&name);
	pq_sendint64(&name, DatumGetInt64(fence));
	appendBinaryStringInfo(&name, reinterpret_cast<const char *>(DatumGetUUIDP(token_id)->data),
						   UUID_LEN);
	return {name.data, static_cast<std::size_t>(name.len)};
}

Resealed reseal_rows(SealedPosition &position)
{
	SealedColumn &sealed_column = columns[position.column];
	const std::uint64_t rows = next_page(position);
	SPITupleTable *page = SPI_tuptable;
	Resealed result = {};
	for (std::uint64_t row = 0; row < rows; row++) {
		SPI_tuptable = page; // the statement before has left its own
		const Datum sealed = column(row, 1);
		const OpenedInFlow opened = sealed_column.open(row, DatumGetTextPP(sealed));
		if (opened.data == nullptr) {
			result.damaged += !sealed_column.expires;
			continue;
		}
		result.refused += opened.finding == Finding::refused;
		result.unbindable += opened.finding == Finding::unbindable;
		if (opened.finding == Finding::outdated) {
			const std::uint64_t written =
				run_as_owner(sealed_column.reseal, {{sealed_column.key_type, column(row, 2)},
													{TEXTOID, sealed},
													as::text(sealed_column.seal(row, opened))});
			(written > 0 ? result.done : result.left)++;
		}
		wipe_opened(opened);
	}
	SPI_freetuptable(page);
	return result;
}

void count_sealed_rows(SealedUse *uses, int keys)
{
	SealedPosition position = {};
	while (!position.at_end) {
		const SealedColumn &sealed_column = columns[position.column];
		const std::uint64_t rows = next_page(position);
		for (std::uint64_t row = 0; row < rows; row++) {
			const OpenedInFlow opened = sealed_column.open(row, DatumGetTextPP(column(row, 1)));
			if (opened.data == nullptr) {
				uses[keys].values += !sealed_column.expires;
				continue;
			}
			if (opened.position <= keys) {
				SealedUse &use = uses[opened.position - 1];
				use.oldest = use.values == 0 ? opened.timestamp : Min(use.oldest, opened.timestamp);
				use.values++;
				use.shared += opened.is_shared;
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
	constexpr int kColumns = 4;
	InitMaterializedSRF(fcinfo, 0);
	auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	const int keys = key_ring_size();
	auto *uses = static_cast<SealedUse *>(palloc0(sizeof(SealedUse) * (keys + 1)));
	SPI_connect();
	count_sealed_rows(uses, keys);
	SPI_finish();
	for (int i = 0; i <= keys; i++) {
		Datum values[kColumns] = {
			Int32GetDatum(i + 1), Int64GetDatum(uses[i].values),
			TimestampTzGetDatum(time_t_to_timestamptz(static_cast<pg_time_t>(uses[i].oldest))),
			Int64GetDatum(uses[i].shared)};
		bool nulls[kColumns] = {i == keys, false, i == keys || uses[i].values == 0, false};
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	PG_RETURN_NULL();
}
