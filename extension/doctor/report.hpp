// What oauth_doctor() finds. A check answers one question, in one of two ways: by a statement
// that returns what is wrong, or by a function that reports it.
//
// Each check runs in a subtransaction of its own, which is rolled back: an error in it is a
// finding, and the other checks go on. Names resolve to the catalog alone, and a policy that
// would hide rows is an error. Nothing in a report is a secret, and the caller sees numbers of
// tokens and no identity.
#pragma once

#include <span>

#include "postgres/compat.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace oauth_tokens
{

enum class Status { error, warning, ok };

class Report
{
public:
	explicit Report(MemoryContext memory) : memory_(memory) {}

	// A null hint: there is nothing to do. Copies its arguments.
	void add(Status status, const char *detail, const char *hint = nullptr);
	void ok(const char *detail) { add(Status::ok, detail); }
	void warning(const char *detail, const char *hint) { add(Status::warning, detail, hint); }
	void error(const char *detail, const char *hint) { add(Status::error, detail, hint); }
	// Because the caller has no right to it, or because another item says what is missing: that
	// is no fault of its own.
	void not_checked(const char *why);

	void begin(const char *item);
	bool is_empty() const { return findings_ == item_begins_; }
	void take_back();

	struct Finding {
		const char *item;
		Status status;
		const char *detail;
		const char *hint;
	};
	const List *findings() const { return list_; }

private:
	MemoryContext memory_;
	List *list_ = NIL;
	const char *item_ = nullptr;
	int findings_ = 0;
	int item_begins_ = 0;
};

// With whose rights a statement runs. The owner of the extension reads the tables of ours on
// which nobody has rights.
enum class As { caller, owner };

struct Check {
	const char *item;
	// Null, or:
	void (*look)(Report &report);
	// rows of status, detail and hint. If there are none, `ok` is the detail.
	const char *statement = nullptr;
	const char *ok = nullptr;
	As as = As::caller;
};

// Whether the tables are there; otherwise the check has said that it needs them.
bool needs_tables(Report &report);

extern const char *const kExtension; // the WITH of report_rows()

// Runs a statement like that within a check. Before it stands a WITH that it may continue by a
// comma: `snapshot` says `at` which time the statement sees the tables; `extension` is our row of
// pg_extension, with its `schema` quoted, by which hints name our functions; `ours` has classid and
// objid of its members.
void report_rows(Report &report, const char *statement, As as);

// The groups, in the order in which they are reported.
std::span<const Check> key_checks();
std::span<const Check> log_checks();
std::span<const Check> table_checks();
std::span<const Check> right_checks();
std::span<const Check> object_checks();
std::span<const Check> operation_checks();
std::span<const Check> scan_checks();

} // namespace oauth_tokens
