// What ALTER DEFAULT PRIVILEGES gives to each new object of a schema or of a role (some
// hosted databases give all of it to everybody's role) is not meant for ours: rights
// on them are set by REVOKE beside each CREATE, and by oauth_tokens_grant().

#include "postgres/function.hpp"
#include "postgres/safe_settings.hpp"

extern "C" {
#include "access/xact.h"
}

namespace oauth_tokens
{

namespace
{

// One REVOKE for each grantee of each member, and the transaction that made it a member. PUBLIC
// keeps the few functions that the script leaves it.
constexpr const char *kRevokes =
	"SELECT pg_catalog.format('REVOKE ALL ON %s %s FROM %s', m.kind, m.name,"
	" CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END),"
	" d.xmin FROM (SELECT 'pg_proc'::regclass AS catalog, oid, 'ROUTINE' AS kind,"
	" oid::regprocedure::text AS name, proacl AS acl, proowner AS owner FROM pg_proc"
	" UNION ALL SELECT 'pg_class', oid, CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,"
	" oid::regclass::text, relacl, relowner FROM pg_class"
	" UNION ALL SELECT 'pg_namespace', oid, 'SCHEMA', oid::regnamespace::text, nspacl, nspowner"
	" FROM pg_namespace) m"
	" JOIN pg_depend d ON d.classid = m.catalog AND d.objid = m.oid AND d.objsubid = 0"
	" AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass"
	" JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'oauth_tokens',"
	" aclexplode(m.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee"
	" WHERE a.grantee <> m.owner AND NOT (a.grantee = 0 AND m.kind = 'ROUTINE')"
	" GROUP BY m.kind, m.name, a.grantee, r.rolname, d.xmin";

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

// The last statement of a script calls this. What was there before an update has its grants of
// oauth_tokens_grant(); a REVOKE would also have pg_dump take the others for ours.
OAUTH_INNER_FUNCTION(oauth_revoke_default_privileges)
{
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	execute_safely(kRevokes);
	SPITupleTable *revokes = SPI_tuptable;
	for (uint64 i = 0; i < revokes->numvals; i++) {
		bool is_null;
		const Datum made_by = SPI_getbinval(revokes->vals[i], revokes->tupdesc, 2, &is_null);
		if (TransactionIdIsCurrentTransactionId(DatumGetTransactionId(made_by)))
			execute_safely(SPI_getvalue(revokes->vals[i], revokes->tupdesc, 1));
	}
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_VOID();
}
