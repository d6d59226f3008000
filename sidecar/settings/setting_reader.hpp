// A setting's value, wherever it comes from: the environment, .env, or the TOML
// file's top level, in this order.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret_string.hpp"
#include "settings/table_reader.hpp"

namespace sidecar::settings
{

class SettingReader
{
public:
	SettingReader(TableReader &top, SecretSources place) : top_(top), place_(place) {}

	const SecretSources &place() const noexcept { return place_; }
	Diagnostics &diagnostics() const noexcept { return place_.diagnostics; }

	// `setting` as it is called in the environment: OAUTH_LISTEN. Nothing where it
	// is not given, or is empty, which is an error.
	std::optional<std::string> text(std::string_view setting);
	// Also by <setting>_FILE, and in the TOML file by …_env and …_file.
	std::optional<Secret> secret(std::string_view setting);
	// Commas separate; in the TOML file an array will do, too.
	std::optional<std::vector<std::string>> list(std::string_view setting);
	long long number(std::string_view setting, long long low, long long high, long long otherwise);
	bool flag(std::string_view setting, bool otherwise);
	std::string path(std::string_view setting, std::string_view otherwise);

private:
	std::optional<std::string> checked(std::string_view setting, std::string_view value) const;

	TableReader &top_;
	SecretSources place_;
};

// OAUTH_LISTEN is `listen` in the TOML file, and DATABASE_URL `database_url`.
std::string toml_key(std::string_view setting);

} // namespace sidecar::settings
