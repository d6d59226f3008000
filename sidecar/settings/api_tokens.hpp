// The keys to the API: OAUTH_API_TOKENS, which may do everything, and the TOML
// file's [[api_tokens]], which may do what they say.
#pragma once

#include "settings/settings_table.hpp"

namespace sidecar::settings
{

// OAUTH_API_TOKENS.
void unrestricted_tokens(Given &given);

// [[api_tokens]], after the providers, which they name.
void read_token_blocks(Sources &sources, Settings &settings);

} // namespace sidecar::settings
