// Keeps the tokens that statements hold out of the server's log, of pg_stat_activity and
// of pg_stat_statements.
//
// A statement is sensitive if its text names a function or view of ours, or a function in
// oauth_tokens.redact_also; if it is an EXECUTE of a prepared statement that does; or as
// soon as one of our functions is called in it, however that came about. The text decides
// what happens before and after that call: log_statement, a syntax error, a duration.
// A log record of a sensitive statement, or one that quotes another session's, is
// replaced by one that keeps level, SQLSTATE, place in the source, and the message's
// constant format.
//
// The library has to be loaded before the session's first statement. docs/security.md says what is
// not covered.
#pragma once

#include "postgres/compat.hpp"

namespace oauth_tokens
{

void redaction_init();

// How this session came by the library.
enum class Preload { none, session, server };
Preload preload();

// Whether no other library sees log records before this one has redacted them.
bool redacts_first();

// Marks the statement that runs now as sensitive.
void statement_calls(const char *function);

// The same for a function that takes a secret. Raises 55000 if the library was not loaded
// in time, and oauth_tokens.allow_without_preload is off.
void statement_takes_secret(const char *function, FunctionCallInfo call);

} // namespace oauth_tokens
