// How browsers see the daemon, where it may send them, and what must hold of all that it
// listens on.
#pragma once

#include "settings/settings_table.hpp"

namespace sidecar::settings
{

// OAUTH_PUBLIC_URL and OAUTH_RETURN_TO.
void public_url(Given &given);
void return_to_origins(Given &given);

// What addresses, TLS and public URL must be together; the public URL, if none is given.
void check_server(Settings &settings, Diagnostics &diagnostics);

} // namespace sidecar::settings
