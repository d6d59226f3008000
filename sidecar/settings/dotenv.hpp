// The .env file: lines of KEY=VALUE, as shells and python-dotenv read them.
#pragma once

#include <string_view>

#include "settings/diagnostics.hpp"
#include "settings/settings.hpp"

namespace sidecar::settings
{

// An unquoted value ends at a '#' after white space. In single quotes all
// stands for itself; in double quotes \n, \r, \t, \", \\ and \$ are known. `export ` may
// come first, and of two lines with one name the later counts. Nothing is
// expanded. A line that is none is an error with its number, and without a word
// of it: it may be a secret.
Environment parse_dotenv(std::string_view text, Diagnostics &diagnostics);

} // namespace sidecar::settings
