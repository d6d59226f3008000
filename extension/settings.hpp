// The settings (GUCs) of the extension, all of them. docs/ says what each is for.
#pragma once

namespace oauth_tokens
{

// Where an administrator has the keys; empty: elsewhere.
extern char *key_file_setting;
extern char *key_command_setting;

// Instead of what the sidecar published; empty: that.
extern char *public_url_setting;
extern bool confirm_flows_setting;

// Whether functions take secrets without watching the log (redaction/redaction.hpp).
extern bool allow_without_preload_setting;
extern char *redact_also_setting;

// What happens if a secret is a constant in a statement (redaction/literal_secrets.hpp).
enum class LiteralSecrets : int { allow, warn, reject };
extern int literal_secrets_setting;

// Whether a plan may have the scan of tokens/get_scan.hpp.
extern bool enable_get_scan_setting;

// How tokens of the table are sealed, and which of them open (keys/key_ring.hpp).
enum class KeyBinding : int { shared, migrating, bound };
extern int key_binding_setting;

// The workspace whose tokens row security shows (schema/row_security.hpp). Its policy reads the
// setting by its name, without this library.
inline constexpr const char *kWorkspaceIdSetting = "oauth_tokens.workspace_id";

// Raises if a value that was set before the library was loaded is refused: at each try to load it.
void settings_init();

} // namespace oauth_tokens
