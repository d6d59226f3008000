#include "settings.hpp"

#include "flows/flow_settings.hpp"
#include "keys/key_ring_reload.hpp"
#include "postgres/compat.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/guc.h"
}

namespace oauth_tokens
{

char *key_file_setting = nullptr;
char *key_command_setting = nullptr;
char *public_url_setting = nullptr;
bool confirm_flows_setting = false;

void settings_init()
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
	DefineCustomStringVariable("oauth_tokens.public_url",
							   "What browsers see the sidecar as, instead of what it published.",
							   "https, or http on localhost; a path prefix is allowed.",
							   &public_url_setting, "", PGC_SUSET, 0, check_public_url, nullptr,
							   nullptr);
	DefineCustomBoolVariable(
		"oauth_tokens.confirm_flows", "Has new grants wait for oauth_flow_confirm().",
		"For links that are made with confirm => NULL.", &confirm_flows_setting, false, PGC_SUSET,
		0, nullptr, nullptr, nullptr);
	// From here on, no other name with this prefix can be set.
	MarkGUCPrefixReserved("oauth_tokens");
}

} // namespace oauth_tokens
