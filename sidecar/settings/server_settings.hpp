// Where the daemon is: the addresses it listens on, how browsers see it, and
// where it may send them.
#pragma once

#include "settings/setting_reader.hpp"
#include "settings/settings.hpp"

namespace sidecar::settings
{

// OAUTH_LISTEN, OAUTH_API_LISTEN, OAUTH_PUBLIC_URL, OAUTH_RETURN_TO,
// OAUTH_TLS_CERTIFICATE, OAUTH_TLS_KEY, OAUTH_CA_FILE.
void read_server_settings(SettingReader &reader, Settings &settings);

} // namespace sidecar::settings
