#include "tokens/token_row.hpp"

#include "errors.hpp"
#include "postgres/member_query.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/table_query.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

namespace
{

constexpr TableColumn kIdentity[] = {kWorkspaceId, kProvider, kActorType, kActorId};
// In the order of the plan's result.
constexpr TableColumn kRead[] = {kEncryptedAccessToken, kAccessTokenExpiresAt,
								 kEncryptedRefreshToken, kScopes, kUpdatedAt};
constexpr int kReadByAccess = 2; // how many of these Reads::access_token takes

int columns_read(Reads reads)
{
	return reads == Reads::access_token ? kReadByAccess : static_cast<int>(lengthof(kRead));
}

// As the executor would: SELECT on the table, or on each column that is read.
void check_select_right(const TokenTable &table, Reads reads)
{
	const Oid user = GetUserId();
	if (pg_class_aclcheck(table.relid, user, ACL_SELECT) == ACLCHECK_OK)
		return;
	bool allowed = true;
	for (TableColumn column : kIdentity)
		allowed = allowed && pg_attribute_aclcheck(table.relid, table.attno[column], user,
												   ACL_SELECT) == ACLCHECK_OK;
	for (int i = 0; i < columns_read(reads); i++)
		allowed = allowed && pg_attribute_aclcheck(table.relid, table.attno[kRead[i]], user,
												   ACL_SELECT) == ACLCHECK_OK;
	if (!allowed)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, kTableName);
}

// A timestamp column holds UTC by contract, so both types hold the same number.
TokenRow make_row(const Datum *values, const bool *nulls, Reads reads)
{
	if (nulls[0] || (reads == Reads::everything && nulls[4]))
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS),
						errmsg("a row of oauth_tokens has no %s",
							   nulls[0] ? "encrypted_access_token" : "updated_at"),
						errhint("SELECT oauth_tokens_upgrade() lists how the table differs.")));
	TokenRow row = {};
	row.encrypted_access_token = values[0];
	row.has_expires_at = !nulls[1];
	row.expires_at = nulls[1] ? 0 : DatumGetTimestampTz(values[1]);
	if (reads == Reads::access_token)
		return row;
	row.has_refresh_token = !nulls[2];
	row.encrypted_refresh_token = values[2];
	row.has_scopes = !nulls[3];
	row.scopes = values[3];
	row.updated_at = DatumGetTimestampTz(values[4]);
	return row;
}

// As the planner decides. An index that was built beside broken HOT chains does not
// serve a snapshot of before: its entries have the keys of later versions. Asked at
// each use, because nobody tells when the last such snapshot is gone.
bool may_scan_index(Relation index)
{
	return likely(!index->rd_index->indcheckxmin) ||
		   TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
								 TransactionXmin);
}

template <typename Take>
bool find_by_index(const TokenTable &table, Relation relation, Relation index, Snapshot snapshot,
				   const Identity &identity, Take take)
{
	ScanKeyData keys[kIdentityColumns];
	memcpy(keys, table.identity_keys, sizeof keys);
	for (int i = 0; i < kIdentityColumns; i++)
		keys[i].sk_argument = identity.values[i];

	IndexScanDesc scan = compat::index_beginscan(relation, index, snapshot, kIdentityColumns);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	index_rescan(scan, keys, kIdentityColumns, nullptr, 0);
	const bool found = index_getnext_slot(scan, ForwardScanDirection, slot);
	if (found)
		take(slot);
	ExecDropSingleTupleTableSlot(slot);
	index_endscan(scan);
	return found;
}

bool visit_by_index(const TokenTable &table, Relation relation, Relation index, Snapshot snapshot,
					const Identity &identity, Reads reads, RowVisitor visit, void *state)
{
	return find_by_index(table, relation, index, snapshot, identity, [&](TupleTableSlot *slot) {
		Datum values[lengthof(kRead)];
		bool nulls[lengthof(kRead)];
		for (int i = 0; i < columns_read(reads); i++)
			values[i] = slot_getattr(slot, table.attno[kRead[i]], &nulls[i]);
		visit(make_row(values, nulls, reads), state);
	});
}

char *select_statement(const TokenTable &table, Reads reads)
{
	StringInfoData sql;
	initStringInfo(&sql);
	for (int i = 0; i < columns_read(reads); i++)
		appendStringInfo(&sql, "%s t.%s", i == 0 ? "SELECT" : ",", table_column_name(kRead[i]));
	appendStringInfo(&sql, " FROM %s t WHERE %s", table.name, kWhereIdentity);
	return sql.data;
}

bool visit_by_plan(const TokenTable &table, const Identity &identity, Reads reads, RowVisitor visit,
				   void *state)
{
	static PlanCache plans[2]; // by Reads
	MemoryContext caller = CurrentMemoryContext;
	use_tables(Use::read);
	SPI_connect();
	const bool found =
		run_on_tables(
			plans[static_cast<int>(reads)], table, [&] { return select_statement(table, reads); },
			identity_parameters(table, identity), SPI_OK_SELECT) > 0;
	if (found) {
		Datum values[lengthof(kRead)];
		bool nulls[lengthof(kRead)];
		for (int i = 0; i < columns_read(reads); i++)
			values[i] = returned(i + 1, &nulls[i]);
		MemoryContext ours = MemoryContextSwitchTo(caller);
		visit(make_row(values, nulls, reads), state);
		MemoryContextSwitchTo(ours);
	}
	SPI_finish();
	return found;
}

void copy_tokens(const TokenRow &row, void *copy)
{
	auto *tokens = static_cast<SealedTokens *>(copy);
	tokens->access_token = DatumGetTextPCopy(row.encrypted_access_token);
	if (row.has_refresh_token)
		tokens->refresh_token = DatumGetTextPCopy(row.encrypted_refresh_token);
}

bool applies_row_security(Relation relation)
{
	return relation->rd_rel->relrowsecurity &&
		   check_enable_rls(RelationGetRelid(relation), InvalidOid, false) == RLS_ENABLED;
}

// Null if it takes a plan.
Relation index_for_caller(const TokenTable &table, Relation relation)
{
	if (!OidIsValid(table.identity_index) || !table.rows_are_here ||
		ExecutorCheckPerms_hook != nullptr || applies_row_security(relation))
		return nullptr;
	Relation index = index_open(table.identity_index, AccessShareLock);
	if (may_scan_index(index))
		return index;
	index_close(index, NoLock);
	return nullptr;
}

} // namespace

bool visit_token_row(const Identity &identity, Reads reads, RowVisitor visit, void *state)
{
	const TokenTable &table = token_table();
	Relation relation = table_open(table.relid, NoLock);
	Relation index = index_for_caller(table, relation);
	if (index == nullptr) {
		table_close(relation, NoLock);
		return visit_by_plan(table, identity, reads, visit, state);
	}
	check_select_right(table, reads);
	const bool found =
		visit_by_index(table, relation, index, GetActiveSnapshot(), identity, reads, visit, state);
	table_close(relation, NoLock);
	index_close(index, NoLock);
	return found;
}

SealedTokens locked_tokens(const TokenTable &table, const Identity &identity)
{
	SealedTokens tokens = {};
	Relation relation = table_open(table.relid, NoLock);
	Relation index = index_open(table.identity_index, AccessShareLock);
	// It shows the row as it is now, which this transaction has locked. Every valid
	// unique index serves that: it has the keys of what is live.
	visit_by_index(table, relation, index, SnapshotSelf, identity, Reads::everything, copy_tokens,
				   &tokens);
	index_close(index, NoLock);
	table_close(relation, NoLock);
	return tokens;
}

bool row_has_stayed(const TokenTable &table, const Identity &identity)
{
	Relation relation = table_open(table.relid, NoLock);
	Relation index = index_open(table.identity_index, AccessShareLock);
	const auto find_id = [&](Snapshot snapshot, pg_uuid_t *id) {
		return find_by_index(table, relation, index, snapshot, identity, [&](TupleTableSlot *slot) {
			bool is_null;
			const Datum value = slot_getattr(slot, table.attno[kId], &is_null);
			if (!is_null)
				*id = *DatumGetUUIDP(value);
		});
	};
	pg_uuid_t before = {}, now = {};
	const bool stayed = may_scan_index(index) && find_id(GetActiveSnapshot(), &before) &&
						find_id(SnapshotSelf, &now) && memcmp(&before, &now, sizeof now) == 0;
	index_close(index, NoLock);
	table_close(relation, NoLock);
	return stayed;
}

SealedTokens tokens_deleted_by(CommandId command, const TokenTable &table, const Identity &identity)
{
	SealedTokens tokens = {};
	// What was there when the command began, and what others had committed when it met
	// the row. Every valid unique index serves that, as above.
	const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	snapshot->curcid = command;
	Relation relation = table_open(table.relid, NoLock);
	Relation index = index_open(table.identity_index, AccessShareLock);
	if (!visit_by_index(table, relation, index, snapshot, identity, Reads::everything, copy_tokens,
						&tokens))
		elog(ERROR, "the deleted row of oauth_tokens is gone");
	index_close(index, NoLock);
	table_close(relation, NoLock);
	UnregisterSnapshot(snapshot);
	return tokens;
}

} // namespace oauth_tokens
