// The keys to the API: OAUTH_API_TOKENS, which may do everything, and the TOML
// file's [[api_tokens]], which may do what they say.
#pragma once

#include "settings/setting_reader.hpp"
#include "settings/settings.hpp"

namespace sidecar::settings
{

// `blocks`: what the TOML file has under api_tokens, or null. The providers must
// have been read.
void read_api_tokens(SettingReader &reader, TomlValue *blocks, Settings &settings);

} // namespace sidecar::settings
