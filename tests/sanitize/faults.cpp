// Faults that the sanitizers have to find, each of them as a SQL function.
#include <limits>
#include <string>

#include "postgres/compat.hpp"

#include "fmgr.h"

OAUTH_EXPORT_BEGIN
OAUTH_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(read_past_the_end);
PG_FUNCTION_INFO_V1(shift_too_far);

Datum read_past_the_end(PG_FUNCTION_ARGS)
{
	const std::string text(static_cast<std::size_t>(PG_GETARG_INT32(0)), 'x');
	const volatile char *bytes = text.data();
	PG_RETURN_INT32(bytes[text.size() + 1]);
}

Datum shift_too_far(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(1 << PG_GETARG_INT32(0));
}
OAUTH_EXPORT_END
