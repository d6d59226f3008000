#include "tokens/indexed_plan.hpp"

#include <algorithm>

#include "tokens/token_table.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "executor/spi_priv.h"
#include "miscadmin.h"
#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/rls.h"
}

namespace oauth_tokens
{

namespace
{

// No plan reads so many pages if an index leads to the row. The rows are so few that one
// is expected under any key.
constexpr BlockNumber kPages = 10000;
constexpr double kRows = 200;

get_relation_info_hook_type next_hook = nullptr;
bool is_planning = false;

bool is_member(Oid relid)
{
	return get_rel_namespace(relid) == get_namespace_oid("oauth_tokens_internal", true);
}

const IndexOptInfo *identity_index(const RelOptInfo *relation, const TokenTable &table, Oid relid)
{
	ListCell *cell;
	foreach (cell, relation->indexlist) {
		const auto *index = static_cast<IndexOptInfo *>(lfirst(cell));
		if (relid == table.relid
				? index->indexoid == table.identity_index
				: index->unique && index->indpred == NIL && index->nkeycolumns == kIdentityColumns)
			return index;
	}
	return nullptr;
}

bool has_key(const IndexOptInfo *index, int attno)
{
	return std::find(index->indexkeys, index->indexkeys + index->nkeycolumns, attno) !=
		   index->indexkeys + index->nkeycolumns;
}

bool leads_without_type(const IndexOptInfo *index, const TokenTable &table)
{
	constexpr TableColumn columns[] = {kWorkspaceId, kProvider, kActorId};
	if (index->indpred != NIL || index->nkeycolumns != static_cast<int>(lengthof(columns)))
		return false;
	for (int i = 0; i < index->nkeycolumns; i++)
		if (index->indexkeys[i] != table.attno[columns[i]])
			return false;
	return true;
}

// Under row security, the comparison of the actor's type does not lead an index: it might leak.
// The identity's index would then be read for all actors of a workspace.
const IndexOptInfo *best_index(const PlannerInfo *root, const RelOptInfo *relation,
							   const TokenTable &table, Oid relid)
{
	ListCell *cell;
	if (relid == table.relid && root->qual_security_level > 0)
		foreach (cell, relation->indexlist)
			if (leads_without_type(static_cast<IndexOptInfo *>(lfirst(cell)), table))
				return static_cast<IndexOptInfo *>(lfirst(cell));
	return identity_index(relation, table, relid);
}

// Of those that begin with a column of the identity, the one that finds a single row stays.
void leave_out_others(RelOptInfo *relation, const IndexOptInfo *best)
{
	ListCell *cell;
	foreach (cell, relation->indexlist) {
		const auto *index = static_cast<IndexOptInfo *>(lfirst(cell));
		const bool finds_one_row = index->unique && best->unique;
		if (index != best && !finds_one_row && has_key(best, index->indexkeys[0]))
			relation->indexlist = foreach_delete_current(relation->indexlist, cell);
	}
}

// A scan by a bitmap does not tell the index which rows are dead: it would visit them again
// each time.
void forbid_bitmaps(RelOptInfo *relation)
{
	ListCell *cell;
	foreach (cell, relation->indexlist)
		static_cast<IndexOptInfo *>(lfirst(cell))->amhasgetbitmap = false;
}

void lead_to_indexes(PlannerInfo *root, Oid relid, bool has_children, RelOptInfo *relation)
{
	if (next_hook != nullptr)
		next_hook(root, relid, has_children, relation);
	if (has_children)
		return;
	const TokenTable &table = token_table_as_known();
	const bool is_tokens = relid == table.relid || relid == table.details_relid;
	if (is_tokens ? !is_planning : !is_member(relid))
		return;
	relation->pages = kPages;
	relation->tuples = kRows;
	forbid_bitmaps(relation);
	if (!is_tokens)
		return;
	if (const IndexOptInfo *best = best_index(root, relation, table, relid))
		leave_out_others(relation, best);
}

// The tables of tokens are locked, so that nothing makes such a plan stale before it is
// executed. One on our own tables alone is as good whenever it is made.
bool is_planned(SPIPlanPtr plan)
{
	const auto *source = static_cast<const CachedPlanSource *>(linitial(plan->plancache_list));
	const bool is_for_caller =
		!source->dependsOnRLS ||
		(source->rewriteRoleId == GetUserId() && source->rewriteRowSecurity == row_security);
	return source->is_valid && is_for_caller && source->gplan != nullptr && source->gplan->is_valid;
}

// What it is planned with counts for no statement of others: a trigger's or a policy's is
// planned while ours is executed.
void plan_if_needed(SPIPlanPtr plan)
{
	if (is_planned(plan))
		return;
	const bool was_planning = is_planning;
	CachedPlan *planned = nullptr;
	PG_TRY();
	{
		is_planning = true;
		planned = SPI_plan_get_cached_plan(plan);
	}
	PG_FINALLY();
	{
		is_planning = was_planning;
	}
	PG_END_TRY();
	if (planned != nullptr)
		ReleaseCachedPlan(planned, CurrentResourceOwner);
}

} // namespace

void indexed_plan_init()
{
	next_hook = get_relation_info_hook;
	get_relation_info_hook = lead_to_indexes;
}

SPIPlanPtr prepare_indexed_plan(const char *sql, int arguments, Oid *types)
{
	SPIPlanPtr plan = SPI_prepare_cursor(sql, arguments, types, CURSOR_OPT_GENERIC_PLAN);
	return plan == nullptr || SPI_keepplan(plan) != 0 ? nullptr : plan;
}

int execute_indexed_plan(SPIPlanPtr plan, Datum *values, const char *nulls, bool only_read,
						 long at_most)
{
	plan_if_needed(plan);
	return SPI_execute_plan(plan, values, nulls, only_read, at_most);
}

} // namespace oauth_tokens
