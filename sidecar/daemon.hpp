// The daemon: everything put together, from "listening" to the last answer.
#pragma once

#include "settings/settings.hpp"

namespace sidecar
{

// Runs until SIGTERM or SIGINT, then drains; a second signal exits at once.
// Returns the exit status: 0, or 1 where it could not listen.
int run_daemon(settings::Settings settings);

} // namespace sidecar
