#include "tokens/get_scan.hpp"

#include "postgres/compat.hpp"
#include "settings.hpp"
#include "tokens/get_result.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/params.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace oauth_tokens
{

namespace
{

constexpr const char *kName = "oauth_get";
constexpr int kArguments = kIdentityColumns;

set_rel_pathlist_hook_type next_hook = nullptr;

// There is one row at most.
enum class Position { before, at, after };

struct GetScan {
	CustomScanState custom;           // first
	ExprState *arguments[kArguments]; // null: the call has the value already
	FmgrInfo function;
	DirectResult result;
	bool has_called;
	Position position;
	union {
		FunctionCallInfoBaseData call;
		char call_space[SizeForFunctionCallInfo(kArguments)];
	};
};

// ---- The plan

bool is_text(HeapTuple function, AttrNumber column, const char *expected)
{
	bool is_null;
	const Datum value = SysCacheGetAttr(PROCOID, function, column, &is_null);
	return !is_null && strcmp(TextDatumGetCString(value), expected) == 0;
}

// Whether a call of the function comes directly to our oauth_get(): no setting, no other
// owner's rights and no other library comes between. What is not of our library is not
// loaded to find out.
bool is_oauth_get(Oid function)
{
	if (function < FirstUnpinnedObjectId)
		return false;
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	const bool is_named =
		reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang == ClanguageId &&
		is_text(tuple, Anum_pg_proc_prosrc, kName) &&
		is_text(tuple, Anum_pg_proc_probin, "$libdir/oauth_tokens");
	ReleaseSysCache(tuple);
	if (!is_named)
		return false;
	FmgrInfo info;
	fmgr_info(function, &info);
	return info.fn_addr == ::oauth_get && info.fn_retset && info.fn_nargs == kArguments;
}

// The function's declared type, which an owner can alter.
bool is_declared_result(Oid type)
{
	TupleDesc declared = lookup_rowtype_tupdesc_noerror(type, -1, true);
	if (declared == nullptr)
		return false;
	bool is_same = declared->natts == kResultColumns;
	for (int i = 0; is_same && i < kResultColumns; i++) {
		const FormData_pg_attribute *attribute = TupleDescAttr(declared, i);
		is_same = !attribute->attisdropped &&
				  attribute->atttypid == TupleDescAttr(result_descriptor(), i)->atttypid;
	}
	ReleaseTupleDesc(declared);
	return is_same;
}

// Null if it is anything but one call of it. A volatile argument stays with the function: Memoize,
// which is rarely put above a function, would evaluate it less often. A subquery in an
// argument that depends on the row has parameters that is_changed_in() does not see.
FuncExpr *call_in(const RangeTblEntry *rte)
{
	if (rte->rtekind != RTE_FUNCTION || rte->funcordinality || list_length(rte->functions) != 1)
		return nullptr;
	const auto *function = linitial_node(RangeTblFunction, rte->functions);
	auto *call = reinterpret_cast<FuncExpr *>(function->funcexpr);
	if (!IsA(call, FuncExpr) || function->funccolcount != kResultColumns ||
		list_length(call->args) != kArguments || !is_oauth_get(call->funcid) ||
		!is_declared_result(call->funcresulttype) ||
		contain_volatile_functions(reinterpret_cast<Node *>(call->args)) ||
		contain_subplans(reinterpret_cast<Node *>(call->args)))
		return nullptr;
	return call;
}

// FOR UPDATE takes it, too, to see the same row again if it has to wait.
bool is_whole_row_read(const RelOptInfo *rel)
{
	Bitmapset *columns = nullptr;
	pull_varattnos(reinterpret_cast<Node *>(rel->reltarget->exprs), rel->relid, &columns);
	ListCell *cell;
	foreach (cell, rel->baserestrictinfo)
		pull_varattnos(reinterpret_cast<Node *>(lfirst_node(RestrictInfo, cell)->clause),
					   rel->relid, &columns);
	const int first = bms_next_member(columns, -1);
	return first >= 0 && first + FirstLowInvalidHeapAttributeNumber <= InvalidAttrNumber;
}

// The columns that are read above the scan and by its conditions. The first are in the order of
// the result if that is nothing but columns: it needs no projection then. Not of the result
// that make_plan() is given: another one may be put in its place.
List *columns_read(const RelOptInfo *rel, List *conditions)
{
	List *columns = NIL;
	List *readers = list_concat_copy(rel->reltarget->exprs, conditions);
	ListCell *cell;
	foreach (cell, pull_var_clause(reinterpret_cast<Node *>(readers), PVC_RECURSE_PLACEHOLDERS)) {
		const Var *column = lfirst_node(Var, cell);
		if (column->varno != static_cast<int>(rel->relid))
			continue;
		if (column->varattno <= InvalidAttrNumber) // is_whole_row_read() has not found it
			elog(ERROR, "the scan of oauth_get has no column %d", column->varattno);
		columns = add_to_flat_tlist(columns, list_make1(lfirst(cell)));
	}
	return columns;
}

Node *create_state(CustomScan *scan);

constexpr CustomScanMethods kScanMethods = {kName, create_state};

// The arguments stand in the call: so everything that a plan does with expressions is done with
// them, and the plan depends on the function.
Plan *make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *result, List *clauses,
				List *)
{
	const RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	CustomScan *scan = makeNode(CustomScan);
	scan->scan.plan.targetlist = result;
	scan->scan.plan.qual = extract_actual_clauses(clauses, false);
	scan->flags = path->flags;
	scan->custom_exprs = list_make1(linitial_node(RangeTblFunction, rte->functions)->funcexpr);
	scan->custom_scan_tlist = columns_read(rel, scan->scan.plan.qual);
	scan->methods = &kScanMethods;
	return &scan->scan.plan;
}

constexpr CustomPathMethods kPathMethods = {kName, make_plan, nullptr};

// With its costs.
Path *path_in_place_of(const Path *function_scan)
{
	CustomPath *path = makeNode(CustomPath);
	path->path = *function_scan;
	path->path.type = T_CustomPath;
	path->path.pathtype = T_CustomScan;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION | CUSTOMPATH_SUPPORT_BACKWARD_SCAN;
	path->methods = &kPathMethods;
	return &path->path;
}

void replace_function_scan(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (next_hook != nullptr)
		next_hook(root, rel, rti, rte);
	if (!enable_get_scan_setting || call_in(rte) == nullptr || is_whole_row_read(rel))
		return;
	ListCell *cell;
	foreach (cell, rel->pathlist)
		if (const auto *path = static_cast<Path *>(lfirst(cell)); path->pathtype == T_FunctionScan)
			lfirst(cell) = path_in_place_of(path);
}

// ---- Its execution

GetScan &scan_of(CustomScanState *node)
{
	return *reinterpret_cast<GetScan *>(node);
}

const CustomScan *plan_of(const CustomScanState *node)
{
	return castNode(CustomScan, node->ss.ps.plan);
}

// As the executor does before it calls a function.
void look_up_function(const FuncExpr *call, FmgrInfo *function)
{
	if (!compat::may_execute(call->funcid, GetUserId()))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(call->funcid));
	InvokeFunctionExecuteHook(call->funcid);
	fmgr_info(call->funcid, function);
	fmgr_info_set_expr(reinterpret_cast<Node *>(const_cast<FuncExpr *>(call)), function);
}

// The value of a parameter of a prepared statement; null: it is none, or the expression has to
// be evaluated.
const ParamExternData *given_parameter(const Expr *argument, ParamListInfo given)
{
	if (!IsA(argument, Param) || given == nullptr || given->paramFetch != nullptr ||
		given->paramCompile != nullptr)
		return nullptr;
	const auto *parameter = reinterpret_cast<const Param *>(argument);
	if (parameter->paramkind != PARAM_EXTERN || parameter->paramid <= 0 ||
		parameter->paramid > given->numParams)
		return nullptr;
	const ParamExternData *value = &given->params[parameter->paramid - 1];
	return value->ptype == parameter->paramtype ? value : nullptr;
}

void prepare_argument(GetScan &scan, int number, Expr *argument)
{
	const ParamListInfo given = scan.custom.ss.ps.state->es_param_list_info;
	if (IsA(argument, Const)) {
		const auto *constant = reinterpret_cast<Const *>(argument);
		scan.call.args[number] = {constant->constvalue, constant->constisnull};
	} else if (const ParamExternData *value = given_parameter(argument, given)) {
		scan.call.args[number] = {value->value, value->isnull};
	} else {
		scan.arguments[number] = ExecInitExpr(argument, &scan.custom.ss.ps);
	}
}

void begin(CustomScanState *node, EState *, int)
{
	GetScan &scan = scan_of(node);
	const auto *call = linitial_node(FuncExpr, plan_of(node)->custom_exprs);
	for (int i = 0; i < kArguments; i++)
		prepare_argument(scan, i, static_cast<Expr *>(list_nth(call->args, i)));
	look_up_function(call, &scan.function);
	prepare_direct_result(scan.result, node->ss.ps.ps_ExprContext);
	InitFunctionCallInfoData(scan.call, &scan.function, kArguments, call->inputcollid, nullptr,
							 reinterpret_cast<Node *>(&scan.result.call));
}

// Whether the function is to be called.
bool evaluate_arguments(GetScan &scan, ExprContext *context)
{
	bool has_null = false;
	for (int i = 0; i < kArguments; i++) {
		NullableDatum &argument = scan.call.args[i];
		if (scan.arguments[i] != nullptr)
			argument.value = ExecEvalExpr(scan.arguments[i], context, &argument.isnull);
		has_null = has_null || argument.isnull;
	}
	return !has_null || !scan.function.fn_strict;
}

void call_function(GetScan &scan, ExprContext *context)
{
	scan.has_called = true;
	MemoryContext caller = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
	if (evaluate_arguments(scan, context)) {
		PgStat_FunctionCallUsage usage;
		pgstat_init_function_usage(&scan.call, &usage);
		FunctionCallInvoke(&scan.call);
		pgstat_end_function_usage(&usage, true);
		if (!is_returned_directly(scan.result))
			elog(ERROR, "function %u is oauth_get no longer", scan.function.fn_oid);
	}
	MemoryContextSwitchTo(caller);
}

TupleTableSlot *store_row(const CustomScanState *node, const DirectResult &result)
{
	TupleTableSlot *slot = ExecClearTuple(node->ss.ss_ScanTupleSlot);
	int i = 0;
	ListCell *cell;
	foreach (cell, plan_of(node)->custom_scan_tlist) {
		const int column = castNode(Var, lfirst_node(TargetEntry, cell)->expr)->varattno - 1;
		slot->tts_values[i] = result.values[column];
		slot->tts_isnull[i++] = result.nulls[column];
	}
	return ExecStoreVirtualTuple(slot);
}

// Whether the scan comes to its row, which may be none.
bool move(Position &position, bool is_forward)
{
	const Position start = is_forward ? Position::before : Position::after;
	const Position end = is_forward ? Position::after : Position::before;
	position = position == start ? Position::at : end;
	return position == Position::at;
}

TupleTableSlot *next(CustomScanState *node)
{
	GetScan &scan = scan_of(node);
	ExprContext *context = node->ss.ps.ps_ExprContext;
	ResetExprContext(context);
	if (!move(scan.position, ScanDirectionIsForward(node->ss.ps.state->es_direction)))
		return nullptr;
	if (!scan.has_called)
		call_function(scan, context);
	if (!scan.result.is_found)
		return nullptr;
	context->ecxt_scantuple = store_row(node, scan.result);
	if (!ExecQual(node->ss.ps.qual, context)) {
		InstrCountFiltered1(node, 1);
		return nullptr;
	}
	return node->ss.ps.ps_ProjInfo == nullptr ? context->ecxt_scantuple
											  : ExecProject(node->ss.ps.ps_ProjInfo);
}

void forget_row(CustomScanState *node)
{
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	clear_direct_result(scan_of(node).result);
	scan_of(node).has_called = false;
}

bool is_changed_in(Node *node, void *changed)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Param)) {
		const auto *parameter = reinterpret_cast<Param *>(node);
		return parameter->paramkind == PARAM_EXEC &&
			   bms_is_member(parameter->paramid, static_cast<Bitmapset *>(changed));
	}
	return compat::walk_expression(node, is_changed_in, changed);
}

// Calls again if an argument may have another value; if one of a condition has, the row stays.
void rescan(CustomScanState *node)
{
	if (node->ss.ps.chgParam != nullptr &&
		is_changed_in(reinterpret_cast<Node *>(plan_of(node)->custom_exprs), node->ss.ps.chgParam))
		forget_row(node);
	scan_of(node).position = Position::before;
}

void explain(CustomScanState *node, List *ancestors, ExplainState *state)
{
	compat::explain_expression("Function Call",
							   static_cast<Node *>(linitial(plan_of(node)->custom_exprs)),
							   node->ss.ps.plan, ancestors, state);
}

CustomExecMethods execution_methods()
{
	CustomExecMethods methods = {};
	methods.CustomName = kName;
	methods.BeginCustomScan = begin;
	methods.ExecCustomScan = next;
	methods.EndCustomScan = forget_row;
	methods.ReScanCustomScan = rescan;
	methods.ExplainCustomScan = explain;
	return methods;
}

const CustomExecMethods kExecMethods = execution_methods();

Node *create_state(CustomScan *)
{
	auto *scan = static_cast<GetScan *>(palloc0(sizeof(GetScan)));
	NodeSetTag(&scan->custom, T_CustomScanState);
	scan->custom.methods = &kExecMethods;
	return reinterpret_cast<Node *>(scan);
}

} // namespace

void get_scan_init()
{
	if (GetCustomScanMethods(kName, true) != nullptr)
		return; // and a later step has raised
	RegisterCustomScanMethods(&kScanMethods);
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = replace_function_scan;
}

} // namespace oauth_tokens
