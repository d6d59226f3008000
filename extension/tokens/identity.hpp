// The identity of a token: (workspace_id, provider, actor_type, actor_id), in
// this order everywhere.
#pragma once

#include <cstdint>

#include "postgres/compat.hpp"

namespace oauth_tokens
{

struct TokenTable;

inline constexpr int kIdentityColumns = 4;
inline constexpr int kMaxProviderBytes = 255;
inline constexpr int kMaxActorIdBytes = 1024;

// Values as the table's columns take them; they live as long as the arguments
// that they were read from.
struct Identity {
	Datum values[kIdentityColumns]; // uuid, text, the column's enum, text

	Datum workspace_id() const { return values[0]; }
	Datum provider() const { return values[1]; }
	Datum actor_type() const { return values[2]; }
	Datum actor_id() const { return values[3]; }
};

enum class Column { access_token, refresh_token };

// The row of an identity that stands in a statement's first four parameters.
inline constexpr const char *kWhereIdentity = "workspace_id OPERATOR(pg_catalog.=) $1"
											  " AND provider OPERATOR(pg_catalog.=) $2"
											  " AND actor_type OPERATOR(pg_catalog.=) $3"
											  " AND actor_id OPERATOR(pg_catalog.=) $4";

void identity_init();

const char *column_name(Column column);

// Where a sealed value stands. An identity that is not known (the explicit
// one-argument functions) is null.
struct ValuePosition {
	const Identity *identity = nullptr;
	Column column = Column::access_token;
	// Its label, if it is of a row that has left the table: the enum may have lost it. Such an
	// identity may have no actor_type, and must not be described.
	const text *actor_type = nullptr;
};

// Reads the identity from four arguments of a SQL function, beginning at
// `first`. actor_type may be text or any enum, and is mapped to the enum of the
// table's column. Raises 22004 for a null, 22023 for an unknown actor_type.
Identity identity_from_arguments(FunctionCallInfo fcinfo, int first, const TokenTable &table);

// Byte by byte, as keys are derived from it.
bool is_same_identity(const Identity &one, const Identity &other);

// The value of actor_type that is called `label`. Raises 22023 if there is none.
Datum actor_type_named(const text *label, const TokenTable &table);

// The label of its actor_type, as text.
Datum actor_type_text(const Identity &identity);

// For values that are about to be written: raises 22023 for an empty provider
// or actor_id, OT008 for one that is too long.
void identity_check_storable(const Identity &identity);

// "(workspace_id, provider, actor_type, actor_id)=(…)" for an error message.
char *identity_describe(const Identity &identity);

} // namespace oauth_tokens
