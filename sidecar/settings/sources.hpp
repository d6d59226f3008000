// Where settings come from: the environment, behind it .env, and behind both the TOML file.
#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>

#include "settings/diagnostics.hpp"
#include "settings/settings.hpp"
#include "settings/toml.hpp"

namespace sidecar::settings
{

// The values of .env and the TOML file are wiped when it dies.
class Sources
{
public:
	// Reads `directory`/.env and the TOML file, if they are there.
	Sources(const Environment &environment, std::string directory, Diagnostics &diagnostics);
	~Sources();
	Sources(const Sources &) = delete;
	Sources &operator=(const Sources &) = delete;

	// Of the environment, or else of .env.
	const std::string *variable(std::string_view name);

	// The first of the two that names one of these, so that NAME in the
	// environment wins over NAME_FILE in .env.
	const Environment *first_with(std::string_view name, std::string_view other) const;

	// Warns of OAUTH_… variables that nobody asked for.
	void warn_of_unknown() const;

	const std::string directory; // for relative paths
	Diagnostics &diagnostics;
	toml::table toml;
	toml::array token_blocks;  // of the same file: [[api_tokens]]
	bool toml_is_open = false; // group or others can read it

private:
	void read_dotenv();
	void read_toml();
	void take_token_blocks();

	// The stronger first.
	std::array<const Environment *, 2> variables() const noexcept
	{
		return {&environment_, &dotenv_};
	}

	const Environment &environment_;
	Environment dotenv_;
	std::set<std::string, std::less<>> asked_;
};

} // namespace sidecar::settings
