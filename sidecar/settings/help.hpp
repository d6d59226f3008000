// What --help prints.
#pragma once

#include <string>

namespace sidecar::settings
{

// At most 80 columns; each setting's name stands alone on a line, indented by
// two spaces, as scripts/check-settings expects it.
std::string help_text();

} // namespace sidecar::settings
