// The cache's settings (docs/design/cache.md, "Entries").
#pragma once

#include "settings/setting_reader.hpp"
#include "settings/settings.hpp"

namespace sidecar::settings
{

// REDIS_URL and OAUTH_CACHE_….
void read_cache(SettingReader &reader, Settings &settings);

} // namespace sidecar::settings
