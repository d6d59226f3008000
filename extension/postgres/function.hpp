// How a C++ function becomes one that SQL can call.
//
// OAUTH_FUNCTION(name) { ... } defines and exports `Datum name(PG_FUNCTION_ARGS)`.
// No C++ exception leaves it: each becomes an ereport that is raised after the
// handler has ended, with nothing but plain data alive. It is an error; but if the
// exception left a PG_TRY on its way, it ends the session, because nothing has cleaned
// up there: what a PG_CATCH sets back is not set back, and a subtransaction stays open.
// A statement that calls one is kept out of the log (redaction/redaction.hpp).
//
// The other direction has a rule and no wrapper: a PostgreSQL error longjmps,
// so code that calls PostgreSQL holds no object with a destructor. What needs
// destructors (fernet/, key_source.cpp, the preparation in key_ring.cpp) calls no
// PostgreSQL function that can raise.
#pragma once

#include <exception>
#include <new>

#include "postgres/compat.hpp"
#include "redaction/redaction.hpp"
#include "schema/grant_hint.hpp"

extern "C" {
#include "miscadmin.h"
}

namespace oauth_tokens
{

// Raises 22004 if an argument of the function is null.
inline void refuse_null_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name)));
}

enum class Caught { nothing, out_of_memory, other };

[[noreturn]] inline void raise_caught(int level, Caught caught, const char *function)
{
	if (caught == Caught::out_of_memory)
		ereport(level, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory in %s", function)));
	ereport(level, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("unexpected failure in %s", function),
					errhint("This is a bug in oauth_tokens; please report it.")));
	pg_unreachable();
}

// Calls `body` and turns an exception into a PostgreSQL error.
template <typename Body>
inline Datum without_exceptions(const char *function, FunctionCallInfo fcinfo, Body body)
{
	sigjmp_buf *const handler = PG_exception_stack;
	ErrorContextCallback *const context = error_context_stack;
	Caught caught = Caught::nothing;
	try {
		return body(fcinfo);
	} catch (const std::bad_alloc &) {
		caught = Caught::out_of_memory;
	} catch (...) {
		caught = Caught::other;
	}
	// Both may lead into frames that the exception has left.
	const bool left_a_try = PG_exception_stack != handler;
	PG_exception_stack = handler;
	error_context_stack = context;
	raise_caught(left_a_try ? FATAL : ERROR, caught, function);
}

template <typename Body>
inline Datum guarded(const char *function, FunctionCallInfo fcinfo, Body body)
{
	const Oid caller = GetUserId();
	volatile Datum result = 0;
	PG_TRY();
	{
		result = without_exceptions(function, fcinfo, body);
	}
	PG_CATCH();
	{
		rethrow_with_grant_hint(function, caller);
	}
	PG_END_TRY();
	return result;
}

} // namespace oauth_tokens

#define OAUTH_DEFINE_FUNCTION(name, before)                                                        \
	static Datum name##_body(FunctionCallInfo fcinfo);                                             \
	OAUTH_EXPORT_BEGIN                                                                             \
	PG_FUNCTION_INFO_V1(name);                                                                     \
	Datum name(PG_FUNCTION_ARGS)                                                                   \
	{                                                                                              \
		before;                                                                                    \
		return oauth_tokens::guarded(#name, fcinfo, name##_body);                                  \
	}                                                                                              \
	OAUTH_EXPORT_END                                                                               \
	static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)

#define OAUTH_FUNCTION(name) OAUTH_DEFINE_FUNCTION(name, oauth_tokens::statement_calls(#name))

// One that takes a secret, and refuses to if the log would show it.
#define OAUTH_SECRET_FUNCTION(name)                                                                \
	OAUTH_DEFINE_FUNCTION(name, oauth_tokens::statement_takes_secret(#name, fcinfo))

// One that PostgreSQL calls in statements that need not concern us: a trigger, a policy.
#define OAUTH_INNER_FUNCTION(name) OAUTH_DEFINE_FUNCTION(name, (void)0)
