// The settings that need more than a row of the table, each read in a file of its own;
// the blocks of the TOML file; and what must hold of several settings together.
#pragma once

#include "settings/settings_table.hpp"
#include "settings/table_reader.hpp"

namespace sidecar::settings
{

// database_url.cpp. Stored as libpq takes it: the schemes of drivers (postgresql+asyncpg://,
// jdbc:postgresql://) become postgresql://, ssl=… becomes sslmode=…, and parameters that are
// about another client alone are left out with a warning. "key=value …" stays. Errors name a
// parameter that libpq would refuse, or a value that it takes for nothing, and never show a value.
void database_url(Given &given);

// server_settings.cpp: OAUTH_PUBLIC_URL and OAUTH_RETURN_TO.
void public_url(Given &given);
void return_to_origins(Given &given);
// What addresses, TLS and public URL must be together; the public URL, if none is given.
void check_server(Settings &settings, Diagnostics &diagnostics);

// api_tokens.cpp: OAUTH_API_TOKENS, which may do everything, and [[api_tokens]], which may do
// what they say. The providers must have been read, for the blocks name them.
void unrestricted_tokens(Given &given);
void read_token_blocks(Sources &sources, Settings &settings);

// providers.cpp: GOOGLE_CLIENT_ID and its like, and then [providers.NAME] in `top`, the TOML
// file's top level, with the presets that the former make.
void preset_client(Given &given);
void read_providers(TableReader &top, Settings &settings);

} // namespace sidecar::settings
