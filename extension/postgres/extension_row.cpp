#include "postgres/extension_row.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "utils/fmgroids.h"
}

namespace oauth_tokens
{

ExtensionRow find_extension()
{
	const Oid extension = get_extension_oid("oauth_tokens", false);
	Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	SysScanDesc scan = systable_beginscan(catalog, ExtensionOidIndexId, true, nullptr, 1, &key);
	const HeapTuple tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "extension oauth_tokens is gone");
	const auto *form = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple));
	const ExtensionRow row = {form->extowner, form->extnamespace};
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return row;
}

} // namespace oauth_tokens
