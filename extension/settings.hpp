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

void settings_init();

} // namespace oauth_tokens
