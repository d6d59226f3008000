// oauth_doctor: what is wrong with this database, and what to do about it.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "doctor/report.hpp"
#include "errors.hpp"
#include "postgres/extension_row.hpp"
#include "postgres/function.hpp"
#include "postgres/safe_settings.hpp"
#include "postgres/subtransaction.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "funcapi.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace oauth_tokens
{

namespace
{

// No longer do checks wait for a lock on a table: who needs the doctor may need it because of
// that lock. If one has waited in vain, others hardly wait.
constexpr int kLockMilliseconds = 2000;
constexpr int kNextLockMilliseconds = 50;

// After a lock was not to be had. It may be held, or wanted before us.
constexpr const char *kLocked = R"(
SELECT 'warning', 'not checked: locked' || COALESCE(
		': ' || pg_catalog.string_agg(DISTINCT l.relation::pg_catalog.regclass::text, ', '), '')
		|| COALESCE(' by process ' || pg_catalog.string_agg(DISTINCT l.pid::text, ', '), ''),
	'SELECT * FROM pg_catalog.pg_stat_activity WHERE pid IN ('
		|| pg_catalog.string_agg(DISTINCT l.pid::text, ', ') || ');'
FROM pg_catalog.pg_locks l WHERE l.mode = 'AccessExclusiveLock'
AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
	WHERE d.datname = pg_catalog.current_database())
AND l.relation IN (SELECT o.objid FROM ours o
	WHERE o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
	UNION ALL SELECT c.oid FROM pg_catalog.pg_class c JOIN extension e ON e.extnamespace = c.relnamespace
	WHERE c.relname IN ('oauth_tokens', 'oauth_token_details')))";

// What the checks before have met.
struct Course {
	int lock_milliseconds = kLockMilliseconds;
	bool is_over = false;
};

Status status_named(const char *name)
{
	if (strcmp(name, "error") == 0)
		return Status::error;
	return strcmp(name, "warning") == 0 ? Status::warning : Status::ok;
}

const char *name_of(Status status)
{
	switch (status) {
	case Status::error:
		return "error";
	case Status::warning:
		return "warning";
	default:
		return "ok";
	}
}

void run(const Check &check, Report &report, int lock_milliseconds)
{
	const SafeSettings settings = begin_safe_settings();
	set_config_option("DateStyle", "ISO", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
					  false);
	if (LockTimeout == 0 || LockTimeout > lock_milliseconds)
		set_config_option("lock_timeout", psprintf("%d", lock_milliseconds), PGC_USERSET,
						  PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	if (check.look != nullptr)
		check.look(report);
	else
		report_rows(report, check.statement, check.as);
	SPI_finish();
	end_safe_settings(settings);
	if (report.is_empty() && check.ok == nullptr)
		report.warning("nothing can be said: a view or function of ours is not as it was made",
					   nullptr);
	else if (report.is_empty())
		report.ok(check.ok);
}

// An error of ours says that something does not work. Another one, such as of a policy, says that
// nobody knows. What it hints at is not for pasting; PostgreSQL would have a policy disabled.
void report_failure(Report &report, const ErrorData *error)
{
	const bool is_own =
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TO_CATEGORY(ERRCODE_KEY_MISSING);
	const char *what = error->detail == nullptr ? error->message
												: psprintf("%s: %s", error->message, error->detail);
	if (is_own)
		report.error(what, error->hint);
	else if (error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE)
		report.warning(psprintf("not checked: %s", what),
					   superuser() ? error->hint : "Ask as a superuser.");
	else
		report.warning(psprintf("not checked: %s", what), nullptr);
}

// The timeout is the caller's, and of all checks together.
bool is_timeout(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED && error->message_id != nullptr &&
		   strcmp(error->message_id, "canceling statement due to statement timeout") == 0;
}

void report_timeout(Report &report)
{
	report.warning("not checked: statement_timeout", "SET statement_timeout = 0; -- and ask again");
}

void report_lock(const Check &check, Report &report)
{
	const Check holders = {check.item, nullptr, kLocked};
	ErrorData *error = error_of(Keep::no, [&] { run(holders, report, kNextLockMilliseconds); });
	if (error == nullptr)
		return;
	report_failure(report, error);
	FreeErrorData(error);
}

void look(const Check &check, Report &report, Course &course)
{
	report.begin(check.item);
	if (course.is_over)
		return report_timeout(report);
	ErrorData *error = error_of(Keep::no, [&] { run(check, report, course.lock_milliseconds); });
	if (error == nullptr)
		return;
	course.is_over = is_timeout(error);
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && !course.is_over)
		ReThrowError(error);
	report.take_back();
	if (course.is_over) {
		report_timeout(report);
	} else if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE) {
		course.lock_milliseconds = kNextLockMilliseconds;
		report_lock(check, report);
	} else {
		report_failure(report, error);
	}
	FreeErrorData(error);
}

bool is_control(char byte)
{
	const auto code = static_cast<unsigned char>(byte);
	return code < ' ' || code == 0x7f;
}

bool has_control(const char *text)
{
	return std::any_of(text, text + strlen(text), is_control);
}

char *without_control(const char *text)
{
	char *copy = pstrdup(text);
	std::replace_if(copy, copy + strlen(copy), is_control, '?');
	return copy;
}

// Errors first.
void put(FunctionCallInfo fcinfo, const Report &report)
{
	const auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	for (const Status status : {Status::error, Status::warning, Status::ok}) {
		ListCell *cell;
		foreach (cell, report.findings()) {
			const auto *finding = static_cast<const Report::Finding *>(lfirst(cell));
			if (finding->status != status)
				continue;
			Datum values[] = {
				CStringGetTextDatum(finding->item), CStringGetTextDatum(name_of(status)),
				CStringGetTextDatum(finding->detail),
				finding->hint == nullptr ? Datum{0} : CStringGetTextDatum(finding->hint)};
			bool nulls[] = {false, false, false, finding->hint == nullptr};
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
}

} // namespace

const char *const kExtension = R"(
WITH RECURSIVE extension AS (SELECT x.*, pg_catalog.quote_ident(n.nspname) AS schema
	FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
	WHERE x.extname = 'oauth_tokens'),
ours AS (SELECT d.classid, d.objid FROM pg_catalog.pg_depend d, extension e
	WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
	AND d.deptype = 'e'),
snapshot AS (SELECT CASE WHEN pg_catalog.current_setting('transaction_isolation') ~ '^read'
	THEN pg_catalog.statement_timestamp() ELSE pg_catalog.transaction_timestamp() END AS at))";

void Report::begin(const char *item)
{
	item_ = item;
	item_begins_ = findings_;
}

// Names may be anybody's. A line end in one would end a comment in a hint, or make up a line of
// what --check prints.
void Report::add(Status status, const char *detail, const char *hint)
{
	MemoryContext caller = MemoryContextSwitchTo(memory_);
	auto *finding = static_cast<Finding *>(palloc(sizeof(Finding)));
	if (hint != nullptr && has_control(hint))
		hint = "-- A name has a control character: rename what has it, and ask again.";
	*finding = {item_, status, without_control(detail), hint == nullptr ? nullptr : pstrdup(hint)};
	list_ = lappend(list_, finding);
	findings_++;
	MemoryContextSwitchTo(caller);
}

void Report::not_checked(const char *why)
{
	add(Status::ok, psprintf("not checked: %s", why));
}

// What a check has reported before it failed is not the whole.
void Report::take_back()
{
	MemoryContext caller = MemoryContextSwitchTo(memory_);
	list_ = list_truncate(list_, item_begins_);
	findings_ = item_begins_;
	MemoryContextSwitchTo(caller);
}

bool needs_tables(Report &report)
{
	const Oid schema = extension_schema();
	if (OidIsValid(get_relname_relid(kTableName, schema)) &&
		OidIsValid(get_relname_relid(kDetailsName, schema)))
		return true;
	report.not_checked("not migrated yet");
	return false;
}

void report_rows(Report &report, const char *statement, As as)
{
	Oid caller;
	int context;
	GetUserIdAndSecContext(&caller, &context);
	if (as == As::owner)
		SetUserIdAndSecContext(find_extension().owner, context | SECURITY_LOCAL_USERID_CHANGE);
	const int result = SPI_execute(psprintf("%s%s", kExtension, statement), true, 0);
	SetUserIdAndSecContext(caller, context);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement, SPI_result_code_string(result));
	for (std::uint64_t i = 0; i < SPI_processed; i++) {
		const auto column = [&](int number) {
			return SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, number);
		};
		// A view of ours may be replaced: nothing is sure of its columns.
		const char *status = column(1);
		const char *detail = column(2);
		report.add(status_named(status == nullptr ? "error" : status),
				   detail == nullptr ? "?" : detail, column(3));
	}
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_doctor)
{
	InitMaterializedSRF(fcinfo, 0);
	Report report(CurrentMemoryContext);
	Course course;
	for (const auto group : {key_checks(), log_checks(), table_checks(), right_checks(),
							 object_checks(), operation_checks(), scan_checks()})
		for (const Check &check : group)
			look(check, report, course);
	put(fcinfo, report);
	PG_RETURN_NULL();
}
