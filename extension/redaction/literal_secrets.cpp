#include "redaction/literal_secrets.hpp"

#include "redaction/statement_text.hpp"
#include "settings.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "postgres/compat.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "funcapi.h"
#include "nodes/nodes.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "utils/syscache.h"
}

namespace oauth_tokens
{

namespace
{

// The parameters of our functions that are secrets
constexpr std::array secret_parameters = {
	std::string_view{"access_token"}, std::string_view{"flow"}, std::string_view{"key"},
	std::string_view{"plaintext"}, std::string_view{"refresh_token"}};

bool is_one_of(const auto &names, std::string_view name)
{
	return std::ranges::find(names, name) != names.end();
}

struct Operands {
	bool constant = false;
	bool other = false;
};

bool find_operands(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	auto *found = static_cast<Operands *>(context);
	if (IsA(node, Const))
		found->constant |= !castNode(Const, node)->constisnull;
	else if (IsA(node, Param) || IsA(node, Var) || IsA(node, SubLink))
		found->other = true;
	return compat::walk_expression(node, find_operands, context);
}

// Whether it is worked out from constants alone
bool is_literal(Node *expression)
{
	Operands found;
	find_operands(expression, &found);
	return found.constant && !found.other;
}

void check_argument(const char *function, const char *parameter, Node *argument)
{
	if (!is_one_of(secret_parameters, parameter) || !is_literal(argument))
		return;
	ereport(literal_secrets_setting == static_cast<int>(LiteralSecrets::reject) ? ERROR : WARNING,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s of %s is a constant in the statement", parameter, function),
			 errhint("Pass it as a parameter: a statement's text gets into logs and monitoring.")));
}

void check_call(const FuncExpr *call)
{
	// Analysis has just looked it up: this reads the cache.
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
	if (!HeapTupleIsValid(tuple))
		return;
	const char *function = NameStr(reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->proname);
	char **parameters = nullptr;
	if (is_one_of(public_names, function)) {
		Oid *types = nullptr;
		char *modes = nullptr;
		get_func_arg_info(tuple, &types, &parameters, &modes);
		function = pstrdup(function);
	}
	ReleaseSysCache(tuple);
	if (parameters == nullptr)
		return;
	ListCell *cell;
	foreach (cell, call->args) {
		auto *argument = static_cast<Node *>(lfirst(cell));
		int position = foreach_current_index(cell);
		if (IsA(argument, NamedArgExpr)) {
			position = castNode(NamedArgExpr, argument)->argnumber;
			argument = reinterpret_cast<Node *>(castNode(NamedArgExpr, argument)->arg);
		}
		check_argument(function, parameters[position], argument);
	}
}

bool visit(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query)) {
		check_literals(castNode(Query, node));
		return false;
	}
	if (IsA(node, FuncExpr))
		check_call(castNode(FuncExpr, node));
	return compat::walk_expression(node, visit, context);
}

// What analysis has made of the statement inside of a utility command; null: nothing yet,
// and it is analyzed, and checked, when the command runs.
Node *inside(Node *command)
{
	if (IsA(command, ExplainStmt))
		return castNode(ExplainStmt, command)->query;
	if (IsA(command, CreateTableAsStmt))
		return castNode(CreateTableAsStmt, command)->query;
	if (IsA(command, DeclareCursorStmt))
		return castNode(DeclareCursorStmt, command)->query;
	if (IsA(command, CallStmt))
		return reinterpret_cast<Node *>(castNode(CallStmt, command)->funcexpr);
	return nullptr;
}

} // namespace

void check_literals(Query *query)
{
	if (literal_secrets_setting == static_cast<int>(LiteralSecrets::allow))
		return;
	if (query->commandType == CMD_UTILITY)
		visit(inside(query->utilityStmt), nullptr);
	else
		compat::walk_query(query, visit, nullptr);
}

} // namespace oauth_tokens
