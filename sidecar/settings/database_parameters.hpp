// The parameters in DATABASE_URL: those of other clients, which libpq does not
// take, and values of its own that libpq would complain of only when it
// connects.
#pragma once

#include <string>
#include <string_view>

#include "address/conninfo.hpp"
#include "settings/settings_table.hpp"

namespace sidecar::settings
{

// Whether this libpq takes it.
bool is_libpq_parameter(std::string_view name);

// Why a parameter that this libpq does not know cannot stand there.
std::string refusal_of(std::string_view name);

// name=value of a URL in the form that libpq takes; empty if it is left out,
// with a warning or an error.
std::string taken_parameter(std::string_view parameter, const Given &given);

// Errors: words and numbers that are none of those that there are, ports that
// do not go with the hosts, files of TLS that are not there.
void check_values(const address::Conninfo &options, const Given &given);

} // namespace sidecar::settings
