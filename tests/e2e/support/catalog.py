"""What the system catalogs say of the extension and of its tables, without OIDs, so that two databases
can be compared: every column of every catalog, but those that say where and when something was made."""

import re

# Members of the extension, the two tables that are none, and all that goes with them: columns' defaults,
# constraints, indexes, sequences, triggers, policies, TOAST tables, row types.
PARTS = """
    CREATE TEMP TABLE IF NOT EXISTS parts AS WITH RECURSIVE part (classid, objid) AS (
        SELECT 'pg_extension'::regclass::oid, oid FROM pg_extension WHERE extname = 'oauth_tokens'
        UNION SELECT 'pg_class'::regclass, c.oid FROM pg_class c JOIN pg_extension e ON e.extnamespace = c.relnamespace
            WHERE e.extname = 'oauth_tokens' AND c.relname IN ('oauth_tokens', 'oauth_token_details')
        UNION SELECT d.classid, d.objid FROM pg_depend d JOIN part p ON d.refclassid = p.classid
            AND d.refobjid = p.objid AND d.deptype IN ('e', 'i', 'a'))
    SELECT * FROM part"""

# Where a catalog without rows of its own in pg_depend has the object that its rows are of.
OF = {"pg_attribute": ("pg_class", "attrelid"), "pg_index": ("pg_class", "indexrelid"),
      "pg_sequence": ("pg_class", "seqrelid"), "pg_enum": ("pg_type", "enumtypid")}
# What distinguishes rows of one object, or of one name without its OID.
SUBJECTS = {"pg_attribute": "attnum", "pg_trigger": "tgfoid::regproc::text"}
OMITTED = {"oid", "relfilenode", "relpages", "reltuples", "relallvisible", "relallfrozen", "relfrozenxid", "relminmxid",
           "atthasmissing", "attmissingval", "attcacheoff",
           "extconfig", "extcondition"}  # see MORE
# What is stored as a tree of nodes, or in several columns.
TEXTS = {
    "pg_proc": "pg_get_functiondef(t.oid) || pg_get_function_arguments(t.oid)",
    "pg_class": "CASE WHEN t.relkind = 'v' THEN pg_get_viewdef(t.oid) END",
    "pg_attrdef": "pg_get_expr(t.adbin, t.adrelid)",
    "pg_constraint": "pg_get_constraintdef(t.oid)",
    "pg_index": "pg_get_indexdef(t.indexrelid)",
    "pg_trigger": "pg_get_triggerdef(t.oid)",
    "pg_policy": "pg_get_expr(t.polqual, t.polrelid) || pg_get_expr(t.polwithcheck, t.polrelid)",
    "pg_rewrite": "pg_get_ruledef(t.oid)",
}
MORE = {
    "pg_description": "SELECT i.type || ' ' || i.identity, d.description FROM pg_description d"
                      " JOIN parts p ON (p.classid, p.objid) = (d.classoid, d.objoid), pg_identify_object(d.classoid, d.objoid, d.objsubid) i",
    "pg_depend": "SELECT pg_describe_object(d.classid, d.objid, d.objsubid),"
                 " pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), d.deptype::text FROM pg_depend d"
                 " WHERE EXISTS (SELECT FROM parts p WHERE (p.classid, p.objid) IN ((d.classid, d.objid), (d.refclassid, d.refobjid)))",
    "pg_shdepend": "SELECT pg_describe_object(d.classid, d.objid, d.objsubid),"
                   " pg_describe_object(d.refclassid, d.refobjid, 0), d.deptype::text FROM pg_shdepend d"
                   " JOIN parts p USING (classid, objid) WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
    "pg_init_privs": "SELECT pg_describe_object(i.classoid, i.objoid, i.objsubid), a::text FROM pg_init_privs i"
                     " JOIN parts p ON (p.classid, p.objid) = (i.classoid, i.objoid), unnest(i.initprivs) a",
    "extconfig": "SELECT t::regclass::text, c FROM pg_extension, unnest(extconfig, extcondition) u (t, c)"
                 " WHERE extname = 'oauth_tokens'",
}


def _references(connection):
    """{(catalog, column): the catalog whose OIDs it has}"""
    return {(table, column): target for table, [column], target, [key] in connection.execute(
        "SELECT fktable::regclass::text, fkcols, pktable::regclass::text, pkcols FROM pg_get_catalog_foreign_keys()"
        " WHERE cardinality(fkcols) = 1").fetchall() if key == "oid"}


def _column(name, kind, target):
    """The SQL that says what is in a column: names instead of OIDs, rights in the order of the alphabet."""
    if kind == "aclitem[]":
        return f"(SELECT array_agg(a::text ORDER BY a::text COLLATE \"C\")::text FROM unnest(t.{name}) a)"
    if name == "attoptions":  # among them a number that minor releases of PostgreSQL give to each column
        return "(SELECT array_agg(o ORDER BY o)::text FROM unnest(t.attoptions) o WHERE o NOT LIKE 'pg\\_attver=%%')"
    if target is None:
        return f"t.{name}::text"
    named = f"(SELECT identity FROM pg_identify_object('{target}'::regclass, NULLIF({{}}, 0), 0))"
    if kind in ("oidvector", "oid[]"):
        return f"(SELECT string_agg({named.format('o')}, ', ' ORDER BY n) FROM unnest(t.{name}::oid[]) WITH ORDINALITY u (o, n))"
    return named.format(f"t.{name}::oid")


def _rows(connection, catalog, references):
    columns = [(name, kind) for name, kind in connection.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        [catalog]).fetchall() if name not in OMITTED and kind != "pg_node_tree"]
    owner, key = OF.get(catalog, (catalog, "oid"))
    wanted = [_column(name, kind, references.get((catalog, name))) for name, kind in columns]
    subject = SUBJECTS.get(catalog, "NULL")
    rows = connection.execute(
        f"SELECT pg_describe_object(p.classid, p.objid, 0), {subject}, {TEXTS.get(catalog, 'NULL')}, {', '.join(wanted)}"
        f" FROM {catalog} t JOIN parts p ON p.objid = t.{key} AND p.classid = '{owner}'::regclass"
        f" WHERE {'attnum > 0' if catalog == 'pg_attribute' else 'true'}").fetchall()
    names = ["text", *(name for name, _ in columns)]
    return {(catalog, what, number): dict(zip(names, values)) for what, number, *values in rows}


def _without_oids(value, tables):
    """Some names are made of them: that of a TOAST table of its table's."""
    if isinstance(value, str):
        value = re.sub(r"pg_toast_(\d+)", lambda found: f"pg_toast of {tables[found[1]]}", value)
        return re.sub(r"(RI_ConstraintTrigger_[ac])_\d+", r"\1", value)
    if isinstance(value, dict):
        return {key: _without_oids(of, tables) for key, of in value.items()}
    return tuple(_without_oids(of, tables) for of in value) if isinstance(value, tuple) else value


def describe(connection):
    """{(catalog, object, …): what it says}"""
    connection.execute("SET search_path = pg_catalog")
    connection.execute("DROP TABLE IF EXISTS parts")
    connection.execute(PARTS)
    references = _references(connection)
    tables = dict(connection.execute("SELECT oid::text, oid::regclass::text FROM pg_class WHERE reltoastrelid <> 0").fetchall())
    catalogs = [name for name, in connection.execute("SELECT DISTINCT classid::regclass::text FROM parts").fetchall()]
    found = {}
    for catalog in [*catalogs, *OF]:
        for key, value in _rows(connection, catalog, references).items():
            key, value = _without_oids((key, value), tables)
            assert key not in found, key
            found[key] = value
    for name, sql in MORE.items():
        for row in connection.execute(sql).fetchall():
            found[name, *_without_oids(row, tables)] = True
    connection.execute("RESET search_path")
    return found


def differences(one, other):
    """A line for each difference of two descriptions."""
    lines = []
    for key in sorted(one.keys() | other.keys(), key=str):
        if key not in one or key not in other:
            lines.append(f"{'only the second' if key not in one else 'only the first'} has {key}")
        elif one[key] != other[key]:
            lines += [f"{key}: {name}: {one[key][name]!r} and {other[key][name]!r}"
                      for name in one[key] if one[key][name] != other[key][name]]
    return lines
