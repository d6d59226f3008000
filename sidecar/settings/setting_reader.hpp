// A setting's value, from wherever it comes.
#pragma once

#include <optional>

#include "common/secret_string.hpp"
#include "settings/settings_table.hpp"
#include "settings/table_reader.hpp"

namespace sidecar::settings
{

// From the environment, .env, or `top`, the TOML file's top level, in this order. Nothing
// where none of them has it, or where it is empty or has control characters, which are errors.
std::optional<Secret> value_of(const Setting &setting, TableReader &top);

} // namespace sidecar::settings
