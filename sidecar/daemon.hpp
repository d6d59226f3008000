// The daemon: puts all parts together, from "listening" to the last answer.
#pragma once

#include "settings/settings.hpp"

namespace sidecar
{

// Runs until SIGTERM or SIGINT, then drains; a second signal exits at once.
// Returns the exit status: 0, or 1 if it could not listen.
int run_daemon(settings::Settings settings);

} // namespace sidecar
