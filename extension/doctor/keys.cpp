// The key ring: whether there is one, whether it will be there after the next start, and whether
// it opens what is stored.

#include <cstdlib>
#include <string_view>

#include "common/fernet_key.hpp"
#include "doctor/report.hpp"
#include "keys/key_ring.hpp"
#include "keys/key_ring_reload.hpp"
#include "postgres/safe_settings.hpp"
#include "redaction/redaction.hpp"
#include "settings.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace oauth_tokens
{

namespace
{

bool is_set(const char *setting)
{
	return setting != nullptr && setting[0] != '\0';
}

void look_at_ring(Report &report)
{
	const int keys = key_ring_size(); // raises if there is none
	report.ok(psprintf("%d %s, from %s", keys, keys == 1 ? "key" : "keys", key_source()));
}

// It was read at start, or at a reload that took it over. It is read again at the next one.
void look_at_file(Report &report)
{
	KeySet now;
	const bool is_loaded = is_key_file_loaded(now);
	const KeyState state = now.state;
	const auto fault = now.fault;
	now.wipe();
	if (state != KeyState::ready)
		report.error(
			psprintf("%s; the next reload refuses it, and the next start has no key", fault.data()),
			"SELECT pg_reload_conf(); -- after you have repaired the file");
	else if (!is_loaded)
		report.warning("the key file was changed after it was loaded",
					   "SELECT pg_reload_conf(); -- the log says whether it was taken over");
}

// SHOW shows a superuser the command's text.
bool holds_key(std::string_view text) noexcept
{
	for (; text.size() >= common::fernet::kKeyChars; text.remove_prefix(1))
		if (common::fernet::Key::parse(text.substr(0, common::fernet::kKeyChars)))
			return true;
	return false;
}

void look_at_command(Report &report)
{
	if (is_set(key_file_setting))
		report.warning("oauth_tokens.key_command is not used, because key_file is set",
					   "ALTER SYSTEM RESET oauth_tokens.key_command; -- or edit postgresql.conf");
	if (holds_key(key_command_setting))
		report.warning("the text of oauth_tokens.key_command holds a key, and SHOW shows it",
					   "Have the command print a key that is kept elsewhere, and use a new key.");
}

void look_at_source(Report &report)
{
	if (is_set(key_file_setting))
		look_at_file(report);
	if (is_set(key_command_setting))
		look_at_command(report);
	// With preload by the server, it was wiped from there.
	if (preload() != Preload::server && std::getenv(kKeyVariable) != nullptr)
		report.warning(psprintf("the server's environment shows %s in /proc", kKeyVariable),
					   "Append oauth_tokens to shared_preload_libraries, and restart.");
}

// The view makes one scan of the table, in parallel if it is large. Unless key_binding is shared, a
// value may open in no row though its key is there: its row was changed.
constexpr const char *kValues = R"(
, used AS MATERIALIZED (SELECT u.fingerprint, u.position AS at, pg_catalog.sum(u.values) AS many,
		pg_catalog.sum(u.shared) AS shared
	FROM %s.oauth_key_usage u GROUP BY 1, 2),
every AS (SELECT pg_catalog.sum(u.many) AS many, pg_catalog.sum(u.shared) AS shared, b.binding,
		e.schema || '.' AS ours
	FROM used u, extension e, pg_catalog.current_setting('oauth_tokens.key_binding') b (binding)
	GROUP BY b.binding, e.schema),
opened AS (SELECT u.*, u.many - CASE y.binding WHEN 'bound' THEN u.shared ELSE 0 END AS opens
	FROM used u, every y)
SELECT 'error', 'no key opens ' || u.many || ' of ' || y.many || ' values. A key is missing'
		|| COALESCE(', if one of these: '
			|| (SELECT pg_catalog.string_agg(k.fingerprint, ', ' ORDER BY k.first_used)
				FROM oauth_tokens_internal.used_keys k
				WHERE NOT EXISTS (SELECT FROM used v WHERE v.fingerprint = k.fingerprint)), '')
		|| '; or they are damaged'
		|| CASE y.binding WHEN 'shared' THEN '' ELSE ', or their row was changed' END,
	'SELECT * FROM ' || y.ours
		|| 'oauth_tokens_damaged(); -- and see oauth_tokens_internal.oauth_revocations', 0
FROM used u, every y WHERE u.fingerprint IS NULL
UNION ALL SELECT CASE y.binding WHEN 'bound' THEN 'error' ELSE 'warning' END,
	CASE y.binding WHEN 'bound'
		THEN 'key_binding = bound refuses ' || y.shared || ' values, which any row could contain'
		ELSE y.shared || ' values are bound to no row yet' END,
	CASE y.binding WHEN 'bound'
		THEN '-- If you trust them: set oauth_tokens.key_binding to migrating, and CALL ' || y.ours
			|| 'oauth_rotate_keys();'
		ELSE 'CALL ' || y.ours || 'oauth_rotate_keys(); -- then set oauth_tokens.key_binding to bound'
		END, 0
FROM every y WHERE y.binding <> 'shared' AND y.shared > 0
UNION ALL SELECT CASE WHEN u.at > 1 AND u.many > 0 THEN 'warning' ELSE 'ok' END,
	'key ' || u.at || ' (' || u.fingerprint || CASE
		WHEN u.at = 1 THEN ') encrypts, and opens ' || u.opens || ' values'
		WHEN u.opens > 0 THEN ') is an old one that still opens ' || u.opens || ' values'
		WHEN u.many > 0 THEN ') is an old one of ' || u.many || ' values that are refused'
		ELSE ') opens no value of this database: see the others before you remove it' END,
	CASE WHEN u.at > 1 AND u.opens > 0 THEN 'CALL ' || y.ours || 'oauth_rotate_keys();' END, u.at
FROM opened u, every y WHERE u.fingerprint IS NOT NULL
UNION ALL SELECT 'ok', 'key_binding = ' || y.binding || ': ' || y.shared || ' of ' || y.many
	|| ' values are bound to no row', NULL, NULL
FROM every y ORDER BY 4)";

void look_at_values(Report &report)
{
	if (!compat::may_execute(internal_function("key_usage", BOOLOID), GetUserId()))
		return report.not_checked("it needs the capability admin");
	if (!needs_tables(report))
		return;
	if (!key_ring_is_ready())
		return report.not_checked("there is no usable key");
	const char *schema = quote_identifier(get_namespace_name(extension_schema()));
	report_rows(report, psprintf(kValues, schema), As::caller);
}

// The row of a rotation that was broken off stays as it is; a later one makes it good.
constexpr const char *kRotation = R"(
SELECT 'warning', pg_catalog.format('a rotation to key %s stopped after %s values',
		r.fingerprint, r.values_rotated),
	'CALL ' || e.schema || '.oauth_rotate_keys();'
FROM extension e, (SELECT * FROM oauth_tokens_internal.key_rotations ORDER BY id DESC LIMIT 1) r
WHERE r.finished_at IS NULL
AND r.updated_at < (SELECT n.at FROM snapshot n) - interval '10 min')";

constexpr Check kChecks[] = {
	{"encryption key", look_at_ring},
	{"source of the key", look_at_source, nullptr, "as it was loaded"},
	{"key rotation", nullptr, kRotation, "none was broken off", As::owner},
};

// It takes the time that the others need not.
constexpr Check kScan[] = {{"values and keys", look_at_values}};

} // namespace

std::span<const Check> scan_checks()
{
	return kScan;
}

std::span<const Check> key_checks()
{
	return kChecks;
}

} // namespace oauth_tokens
