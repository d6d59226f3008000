// The parameters of a statement, each with its type.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "postgres/compat.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

struct Parameter {
	Oid type; // of the statement's, the same at each call
	Datum value;
	bool is_null = false;
};

using Parameters = std::initializer_list<Parameter>;
inline constexpr int kMostParameters = 16;

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

// The same as SPI takes them.
struct SpiParameters {
	int count = 0;
	Oid types[kMostParameters];
	Datum values[kMostParameters];
	char nulls[kMostParameters];

	SpiParameters() = default;
	SpiParameters(Parameters parameters) { add(parameters); }

	void add(Parameters parameters)
	{
		for (const Parameter &parameter : parameters) {
			Assert(count < kMostParameters);
			types[count] = parameter.type;
			values[count] = parameter.value;
			nulls[count++] = parameter.is_null ? 'n' : ' ';
		}
	}
};

} // namespace oauth_tokens
