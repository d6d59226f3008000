#include "redaction/redaction.hpp"

#include "redaction/activity.hpp"
#include "redaction/literal_secrets.hpp"
#include "redaction/redact_also.hpp"
#include "redaction/statement_text.hpp"
#include "settings.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string_view>

#include <dlfcn.h>

#include "postgres/compat.hpp"

extern "C" {
#include "access/parallel.h"
#include "access/xact.h"
#include "commands/dbcommands.h"
#include "commands/prepare.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/timestamp.h"
}

// HOLD_INTERRUPTS() counts a volatile up.
#pragma GCC diagnostic ignored "-Wvolatile"

namespace oauth_tokens
{

namespace
{

Preload preloaded = Preload::none;

emit_log_hook_type previous_emit_log = nullptr;
post_parse_analyze_hook_type previous_post_parse_analyze = nullptr;
ExecutorRun_hook_type previous_executor_run = nullptr;
ProcessUtility_hook_type previous_process_utility = nullptr;

// Statements are told apart by the time at which they began. The last one that called a
// function of ours, and which; the last one whose text was looked at, as each is once.
TimestampTz calling_statement = std::numeric_limits<TimestampTz>::min();
Name called_function;
TimestampTz examined_statement = std::numeric_limits<TimestampTz>::min();

// In place of the name of the source file, which comes with the record to the leader
constexpr const char *redacted_in_worker = "redacted by oauth_tokens";

// The record that is being replaced, and what log_min_messages is meanwhile
const ErrorData *replaced = nullptr;
int least_level = 0;

std::string_view view(const char *text)
{
	return text == nullptr ? std::string_view{} : std::string_view{text};
}

std::string_view named_in(const char *text)
{
	return text == nullptr ? std::string_view{} : named_function(text, redact_also_names());
}

// The function that is named by a prepared statement that the text executes.
std::string_view named_by_executed(const char *text)
{
	std::string_view found;
	const auto visit = [](Name &name, void *out) {
		name.bytes[name.length] = '\0';
		const PreparedStatement *statement = FetchPreparedStatement(name.bytes.data(), false);
		auto &found = *static_cast<std::string_view *>(out);
		if (statement != nullptr)
			found = named_in(statement->plansource->query_string);
		return !found.empty();
	};
	any_executed(view(text), visit, &found);
	return found;
}

// The function for which the session's statement is sensitive; empty: it is not.
std::string_view sensitive_function()
{
	const bool has_begun = debug_query_string != nullptr || IsTransactionOrTransactionBlock();
	if (has_begun && calling_statement == GetCurrentStatementStartTimestamp())
		return called_function.text();
	const std::string_view named = named_in(debug_query_string);
	return named.empty() ? named_by_executed(debug_query_string) : named;
}

// Whether it is what the client sent, and not a statement inside of a function.
bool is_from_client(const char *text)
{
	return text != nullptr && debug_query_string != nullptr &&
		   std::strcmp(text, debug_query_string) == 0;
}

void hide_statement(std::string_view function)
{
	if (has_constant(view(debug_query_string)))
		hide_activity(function);
}

// Whether the text is a constant of a program, and so holds nothing of a statement: some
// extensions pass a whole message in place of a format.
bool is_constant(const char *text)
{
	Dl_info where;
	return text != nullptr && dladdr(text, &where) != 0;
}

// What a record says without anything that comes from a statement: its format, or how
// long the statement took.
void describe(const ErrorData *record, char *out, std::size_t size)
{
	const std::string_view format = is_constant(record->message_id) ? record->message_id : "";
	if (format.starts_with("duration: %")) {
		const std::string_view message = view(record->message);
		const std::size_t begin = std::min(message.find_first_of("0123456789"), message.size());
		const std::size_t end = message.find_first_not_of("0123456789.", begin);
		const std::string_view number = message.substr(begin, end - begin);
		snprintf(out, size, "duration: %.*s ms", static_cast<int>(number.size()), number.data());
	} else {
		snprintf(out, size, "%s", format.empty() || format == "%s" ? "message" : format.data());
	}
}

void write_replacement(const ErrorData *record, std::string_view function)
{
	char text[512];
	describe(record, text, sizeof text);
	// Callbacks would add statements, a cancel request would leave the error that is being
	// reported, and log_min_messages was asked about the record that this one replaces.
	least_level = log_min_messages;
	log_min_messages = LOG;
	replaced = record;
	HOLD_INTERRUPTS();
	PG_TRY();
	{
		error_context_stack = nullptr;
		ereport(LOG_SERVER_ONLY,
				(errcode(record->sqlerrcode),
				 errmsg_internal("%s (redacted by oauth_tokens: the statement names or calls %.*s)",
								 text, static_cast<int>(function.size()), function.data()),
				 errhidestmt(true), errhidecontext(true)));
	}
	PG_FINALLY();
	{
		replaced = nullptr;
		log_min_messages = least_level;
	}
	PG_END_TRY();
	RESUME_INTERRUPTS();
}

// ereport() above cannot raise, so it cannot be given these.
void take_place(ErrorData *record)
{
	record->elevel = replaced->elevel;
	record->filename = replaced->filename;
	record->lineno = replaced->lineno;
	record->funcname = replaced->funcname;
	replaced = nullptr;
	log_min_messages = least_level;
}

// The function for which the record may not be written; empty: it may be.
std::string_view redacted_for(const ErrorData *record)
{
	std::string_view function = sensitive_function();
	// It may not have been analyzed, and "x" may be meant as a string.
	if (!function.empty() && record->elevel >= ERROR)
		hide_activity(function);
	// One that a parallel worker has redacted, on its way through the leader
	if (function.empty() && view(record->filename) == redacted_in_worker)
		function = "a function in a parallel worker";
	// What vacuum says of our own tables names them.
	if (MyBackendType == B_AUTOVAC_WORKER)
		return function;
	// Another session's statement in a report of a deadlock or a crash, or one in the body
	// of a function
	for (const char *text : {record->message, record->detail, record->detail_log, record->context,
							 record->internalquery})
		if (function.empty())
			function = named_in(text);
	return function;
}

void emit_log(ErrorData *record)
{
	if (replaced != nullptr) {
		take_place(record);
	} else if (const std::string_view function = redacted_for(record); !function.empty()) {
		record->output_to_server = false;
		write_replacement(record, function);
		if (IsParallelWorker())
			record->filename = redacted_in_worker;
		return;
	}
	if (previous_emit_log != nullptr)
		previous_emit_log(record);
}

void mark_statement(std::string_view function)
{
	const TimestampTz statement = GetCurrentStatementStartTimestamp();
	if (calling_statement == statement)
		return;
	calling_statement = statement;
	called_function.length = 0;
	for (const char byte : function)
		called_function.append(byte);
	hide_statement(function);
}

void post_parse_analyze(ParseState *state, Query *query, JumbleState *constants)
{
	const char *text = state->p_sourcetext;
	std::string_view function = named_in(text);
	bool is_from_elsewhere = !is_from_client(text);
	if (!is_from_elsewhere)
		examined_statement = GetCurrentStatementStartTimestamp();
	if (function.empty() && query->commandType == CMD_UTILITY) {
		function = named_by_executed(text);
		is_from_elsewhere = true; // and may be gone when the statement has ended
	}
	if (!function.empty()) {
		if (is_from_elsewhere)
			mark_statement(function); // hides it, too, and shows the first function
		else
			hide_statement(function);
		// pg_stat_statements keeps the text of a utility command as it is; of others, too, if
		// its entry is gone when the statement has run.
		if (has_constant(view(text)))
			query->queryId = 0;
		check_literals(query);
	}
	if (previous_post_parse_analyze != nullptr)
		previous_post_parse_analyze(state, query, constants);
}

// Binding and executing show the text again, and analyze nothing. A function of ours that is
// called then finds the statement marked.
void hide_if_sensitive(const char *text)
{
	const TimestampTz statement = GetCurrentStatementStartTimestamp();
	if (examined_statement == statement || !is_from_client(text))
		return;
	examined_statement = statement;
	const std::string_view function = sensitive_function();
	if (function == "oauth_tokens_internal") // the function that is called says more
		hide_statement(function);
	else if (!function.empty())
		mark_statement(function);
}

void executor_run(QueryDesc *query, ScanDirection direction, uint64 count COMPAT_EXECUTE_ONCE)
{
	hide_if_sensitive(query->sourceText);
	if (previous_executor_run != nullptr)
		previous_executor_run(query, direction, count COMPAT_PASS_EXECUTE_ONCE);
	else
		standard_ExecutorRun(query, direction, count COMPAT_PASS_EXECUTE_ONCE);
}

void process_utility(PlannedStmt *statement, const char *text, bool is_read_only,
					 ProcessUtilityContext context, ParamListInfo parameters,
					 QueryEnvironment *environment, DestReceiver *receiver, QueryCompletion *done)
{
	hide_if_sensitive(text);
	const auto next =
		previous_process_utility != nullptr ? previous_process_utility : standard_ProcessUtility;
	next(statement, text, is_read_only, context, parameters, environment, receiver, done);
}

// What is shown of a statement that was not analyzed and whose error is not logged, or that
// was bound and not executed
void at_transaction_end(XactEvent event, void *)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	const char *shown = activity_since(examined_statement);
	if (const std::string_view function = named_in(shown); !function.empty())
		if (event == XACT_EVENT_ABORT || has_constant(shown))
			hide_activity(function);
}

// In a process that a postmaster with the library made, its hooks are there. Otherwise
// session_preload_libraries loads it while the session is set up; a parallel worker is
// told to load what its leader has loaded, which may have been too late there.
Preload look_at_preload()
{
	if (process_shared_preload_libraries_in_progress)
		return Preload::server;
	const bool in_time = IsParallelWorker() ? std::strstr(session_preload_libraries_string,
														  "oauth_tokens") != nullptr
											: !IsNormalProcessingMode();
	return in_time ? Preload::session : Preload::none;
}

} // namespace

Preload preload()
{
	return preloaded;
}

bool redacts_first()
{
	return emit_log_hook == emit_log;
}

void statement_calls(const char *function)
{
	if (calling_statement != GetCurrentStatementStartTimestamp())
		mark_statement(function);
}

void statement_takes_secret(const char *function, FunctionCallInfo call)
{
	statement_calls(function);
	if (preloaded != Preload::none || allow_without_preload_setting)
		return;
	const char *set = session_preload_libraries_string;
	const char *database = get_database_name(MyDatabaseId);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s takes a secret, and oauth_tokens is not preloaded",
					get_func_name(call->flinfo->fn_oid)),
			 errdetail("The server's log can show the secrets in a statement."),
			 errhint("Run ALTER DATABASE %s SET session_preload_libraries = %s%soauth_tokens as a "
					 "superuser, and connect again.",
					 quote_identifier(database), set, set[0] == '\0' ? "" : ", ")));
}

void redaction_init()
{
	static bool is_done = false; // and settings_init() has raised
	if (is_done)
		return;
	is_done = true;
	preloaded = look_at_preload();
	previous_emit_log = emit_log_hook;
	emit_log_hook = emit_log;
	previous_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = post_parse_analyze;
	previous_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	RegisterXactCallback(at_transaction_end, nullptr);
}

} // namespace oauth_tokens
