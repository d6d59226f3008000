// Statements on the tables that are members of the extension: their names and types are
// fixed, so a plan is prepared once a backend. Within an SPI connection.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "common/random_secret.hpp"
#include "postgres/compat.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

// Whoever sets row_security = off wants an error where rows are hidden; but the
// policies of these tables, which apply to all, ask those of oauth_tokens, where
// the setting counts as it did.
// Takes what begin_row_security() returned; an error undoes it, too.
int begin_row_security();
void end_row_security(int nest_level);

struct MemberQuery {
	const char *sql;
	SPIPlanPtr plan = nullptr;
};

struct Parameter {
	Oid type; // of the statement's, the same at each call
	Datum value;
	bool is_null = false;
};

using Parameters = std::initializer_list<Parameter>;
inline constexpr std::size_t kMostParameters = 16;

// A parameter of a type. A null pointer is a null.
namespace as
{

inline Parameter boolean(bool value)
{
	return {BOOLOID, BoolGetDatum(value)};
}
inline Parameter int4(std::int32_t value)
{
	return {INT4OID, Int32GetDatum(value)};
}
inline Parameter int8(std::int64_t value)
{
	return {INT8OID, Int64GetDatum(value)};
}
inline Parameter float8(double value)
{
	return {FLOAT8OID, Float8GetDatum(value)};
}
inline Parameter timestamptz(TimestampTz value)
{
	return {TIMESTAMPTZOID, TimestampTzGetDatum(value)};
}
// 0 is a null.
inline Parameter timestamptz_or_null(TimestampTz value)
{
	return {TIMESTAMPTZOID, TimestampTzGetDatum(value), value == 0};
}
inline Parameter uuid(const pg_uuid_t *value)
{
	return {UUIDOID, UUIDPGetDatum(value), value == nullptr};
}
inline Parameter text(const ::text *value)
{
	return {TEXTOID, PointerGetDatum(value), value == nullptr};
}
inline Parameter bytea(const ::bytea *value)
{
	return {BYTEAOID, PointerGetDatum(value), value == nullptr};
}

} // namespace as

// With the caller's rights. Rows that were returned or written; the former stand in
// SPI_tuptable. `only_read`: it writes nothing, and sees what the active snapshot does.
std::uint64_t run(MemberQuery &statement, Parameters parameters, bool only_read = false);

// A column (from 1) of the first row that a statement returned.
Datum returned(int column, bool *is_null);
Datum returned(int column);
// Copies, and null for a null.
const text *returned_text(int column);
// 0 for a null.
TimestampTz returned_time(int column);

Datum bytea_datum(const flow::Hash &hash);
Datum text_datum(const flow::Secret &secret);

// The hash of text that a caller brought, or a fresh secret and its hash. Raise
// XX000 where OpenSSL fails.
flow::Hash flow_hash_of(std::string_view text);
void new_flow_secret(flow::Secret &secret);

} // namespace oauth_tokens
