#include "settings.hpp"

#include <cctype>

#include "flows/flow_settings.hpp"
#include "keys/key_ring_reload.hpp"
#include "postgres/compat.hpp"
#include "redaction/redact_also.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

char *key_file_setting = nullptr;
char *key_command_setting = nullptr;
char *public_url_setting = nullptr;
bool confirm_flows_setting = false;
bool allow_without_preload_setting = false;
char *redact_also_setting = nullptr;
int literal_secrets_setting = static_cast<int>(LiteralSecrets::allow);
bool enable_get_scan_setting = true;
int key_binding_setting = static_cast<int>(KeyBinding::shared);

namespace
{

constexpr config_enum_entry kLiteralSecrets[] = {
	{"allow", static_cast<int>(LiteralSecrets::allow), false},
	{"warn", static_cast<int>(LiteralSecrets::warn), false},
	{"reject", static_cast<int>(LiteralSecrets::reject), false},
	{nullptr, 0, false}};

constexpr config_enum_entry kKeyBindings[] = {
	{"shared", static_cast<int>(KeyBinding::shared), false},
	{"migrating", static_cast<int>(KeyBinding::migrating), false},
	{"bound", static_cast<int>(KeyBinding::bound), false},
	{nullptr, 0, false}};

char *workspace_id_setting = nullptr;

// All but those that are each caller's own.
constexpr const char *kAdministrators[] = {
	"oauth_tokens.key_file",    "oauth_tokens.key_command",    "oauth_tokens.key_binding",
	"oauth_tokens.public_url",  "oauth_tokens.confirm_flows",  "oauth_tokens.allow_without_preload",
	"oauth_tokens.redact_also", "oauth_tokens.literal_secrets"};

// As uuid_in() reads it, which may not be called here: it raises.
bool is_uuid(const char *text)
{
	const bool has_braces = *text == '{';
	text += has_braces;
	for (int i = 0; i < UUID_LEN; i++) {
		if (!isxdigit(static_cast<unsigned char>(text[0])) ||
			!isxdigit(static_cast<unsigned char>(text[1])))
			return false;
		text += 2;
		text += *text == '-' && i % 2 == 1 && i < UUID_LEN - 1;
	}
	return strcmp(text, has_braces ? "}" : "") == 0;
}

bool check_workspace_id(char **value, void **, GucSource)
{
	if (*value == nullptr || **value == '\0' || is_uuid(*value))
		return true;
	GUC_check_errdetail("It must be a uuid, or empty: then there is no row.");
	return false;
}

void define_settings()
{
	DefineCustomStringVariable(
		"oauth_tokens.key_file", "File with the Fernet keys, separated by commas or line ends.",
		"The first key encrypts, all decrypt. Read at start and at each reload.", &key_file_setting,
		"", PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, key_file_assigned, nullptr);
	// A server-start setting; the lazy load of a library cannot define one.
	DefineCustomStringVariable(
		"oauth_tokens.key_command", "Shell command that prints the Fernet keys at server start.",
		"Used where key_file is not set; needs shared_preload_libraries.", &key_command_setting, "",
		process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
		GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
	// Who may set it to shared could open a ciphertext that was pasted into a row.
	DefineCustomEnumVariable(
		"oauth_tokens.key_binding",
		"Whether a token opens in its row and column only: shared, migrating or bound.",
		"migrating seals as bound does, and opens what shared has sealed, too.",
		&key_binding_setting, key_binding_setting, kKeyBindings, PGC_SUSET, 0, nullptr, nullptr,
		nullptr);
	DefineCustomStringVariable("oauth_tokens.public_url",
							   "What browsers see the sidecar as, instead of what it published.",
							   "https, or http on localhost; a path prefix is allowed.",
							   &public_url_setting, "", PGC_SUSET, 0, check_public_url, nullptr,
							   nullptr);
	DefineCustomBoolVariable(
		"oauth_tokens.confirm_flows", "Has new grants wait for oauth_flow_confirm().",
		"For links that are made with confirm => NULL.", &confirm_flows_setting, false, PGC_SUSET,
		0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("oauth_tokens.allow_without_preload",
							 "Lets functions take secrets if the library is not preloaded.",
							 "The server's log can then show the secrets in a statement.",
							 &allow_without_preload_setting, false, PGC_SUSET, 0, nullptr, nullptr,
							 nullptr);
	DefineCustomStringVariable(
		"oauth_tokens.redact_also", "Functions whose statements are kept out of the log, too.",
		"Names without arguments, separated by commas: functions of yours that take tokens.",
		&redact_also_setting, "", PGC_SUSET, GUC_LIST_INPUT, check_redact_also,
		redact_also_assigned, nullptr);
	DefineCustomEnumVariable(
		"oauth_tokens.literal_secrets",
		"What happens if a secret is a constant in a statement: allow, warn or reject.",
		"A secret that is passed as a parameter is not in the statement's text.",
		&literal_secrets_setting, literal_secrets_setting, kLiteralSecrets, PGC_SUSET, 0, nullptr,
		nullptr, nullptr);
	DefineCustomBoolVariable("oauth_tokens.enable_get_scan",
							 "Enables the planner's use of a scan of its own for oauth_get.",
							 "Else the executor scans it as any function: the same row, slower.",
							 &enable_get_scan_setting, true, PGC_USERSET, GUC_EXPLAIN, nullptr,
							 nullptr, nullptr);
	DefineCustomStringVariable(
		kWorkspaceIdSetting, "The workspace whose tokens row security shows.",
		"After oauth_tokens_enable_row_security(). Empty: no tokens.", &workspace_id_setting, "",
		PGC_USERSET, 0, check_workspace_id, nullptr, nullptr);
	// From here on, no other name with this prefix can be set.
	MarkGUCPrefixReserved("oauth_tokens");
}

GucSource source_of(const char *name)
{
	const config_generic *setting = compat::find_setting(name);
	return setting == nullptr ? PGC_S_DEFAULT : setting->reset_source;
}

[[noreturn]] void refuse_to_load(const char *name, GucSource source)
{
	if (source == PGC_S_CLIENT && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set parameter \"%s\"", name),
				 errdetail("The connection sets it, by PGOPTIONS or the like, and so hides what an "
						   "administrator has set."),
				 errhint("Connect without it, also if it is the same value. Or have a superuser "
						 "GRANT SET ON PARAMETER %s.",
						 name)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("oauth_tokens cannot be loaded with this value of \"%s\"", name),
			 errdetail("It comes from: %s. A warning at the first try says what is wrong with it.",
					   GucSource_Names[source]),
			 errhint("Correct it or remove it there, and connect again.")));
	pg_unreachable();
}

} // namespace

// Before, PostgreSQL takes any value from anybody. Of each setting it keeps only the value that a
// client has connected with, if there is one. If that is refused now, the default would hold,
// which may be weaker than what an administrator has set.
void settings_init()
{
	static bool are_defined = false;
	static const char *refused = nullptr;
	static GucSource refused_from;
	if (!are_defined) {
		GucSource before[lengthof(kAdministrators)];
		for (std::size_t i = 0; i < lengthof(before); i++)
			before[i] = source_of(kAdministrators[i]);
		define_settings();
		are_defined = true;
		for (std::size_t i = 0; i < lengthof(before) && refused == nullptr; i++)
			if (source_of(kAdministrators[i]) != before[i]) {
				refused = kAdministrators[i];
				refused_from = before[i];
			}
	}
	if (refused != nullptr)
		refuse_to_load(refused, refused_from);
}

} // namespace oauth_tokens
