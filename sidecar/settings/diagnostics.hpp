// Errors and warnings of the settings, collected so that all are reported at once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret_string.hpp"
#include "settings/settings.hpp"

namespace sidecar::settings
{

struct Diagnostics {
	std::vector<SettingError> errors;
	std::vector<std::string> warnings;

	void error(std::string_view setting, std::string_view message);
	void warn(std::string_view setting, std::string_view message);
	// Of the setting, in whatever form it was given: by NAME_FILE, or in the TOML file.
	bool has_error(std::string_view setting) const;
};

// What is wrong with any such value, or nothing: it is empty, or has more than one line.
std::string_view line_error(std::string_view value) noexcept;
// The value, or nothing and an error.
std::optional<common::Secret> checked_line(std::string_view setting, common::Secret value,
										   Diagnostics &diagnostics);

// One line an error, "  OAUTH_LISTEN: …", as they are told at start and by --check.
std::string describe_errors(const std::vector<SettingError> &errors);

// A name from a file or the environment, as a message may show it. It may be a secret in
// the wrong place, or have characters that move a terminal's cursor: what does not look
// like a name is not repeated.
std::string shown_name(std::string_view name);

// ' (did you mean "listen"?)', or nothing if no known name is near.
std::string nearest_hint(std::string_view name, const std::vector<std::string> &known);

} // namespace sidecar::settings
