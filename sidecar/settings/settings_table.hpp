// The table of all settings. What reads them, --help and the warnings of unknown
// names go by it; scripts/check-settings compares docs, samples and man page with it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/secret_string.hpp"
#include "settings/settings.hpp"
#include "settings/sources.hpp"

namespace sidecar::settings
{

// A value on its way into Settings.
struct Given {
	std::string_view setting;
	common::Secret value;
	Settings &settings;
	Sources &sources;

	std::string_view text() const noexcept { return value.reveal(); }
	void error(std::string_view message) const { sources.diagnostics.error(setting, message); }
	void warn(std::string_view message) const { sources.diagnostics.warn(setting, message); }
};

enum class Kind {
	plain,
	list,   // in the TOML file an array will do, too
	secret, // may come from a file, and is never shown
};

struct Setting {
	std::string_view name; // OAUTH_LISTEN
	// It is read as any other value. In parentheses: says what holds without one.
	std::string_view default_value;
	// Checks and stores a value. Null for OAUTH_CONFIG, which comes first.
	void (*read)(Given &given);
	std::string_view help;
	Kind kind = Kind::plain;

	std::string file_name() const { return std::string(name) + "_FILE"; }
	// OAUTH_LISTEN is `listen` in the TOML file, and DATABASE_URL `database_url`.
	std::string toml_key() const;
};

// In alphabetical order.
std::span<const Setting> settings_table() noexcept;

// help.cpp. What --help prints: at most 80 columns; each setting's name stands alone on a
// line, indented by two spaces, as scripts/check-settings expects it.
std::string help_text();

} // namespace sidecar::settings
