// Environment variables, and behind them what .env says.
#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "settings/diagnostics.hpp"
#include "settings/settings.hpp"

namespace sidecar::settings
{

class Variables
{
public:
	// Reads `directory`/.env where there is one.
	Variables(const Environment &environment, const std::string &directory,
			  Diagnostics &diagnostics);
	~Variables();
	Variables(const Variables &) = delete;
	Variables &operator=(const Variables &) = delete;

	const std::string *find(std::string_view name);

	// The first of the two sources that names one of these, so that NAME in the
	// environment wins over NAME_FILE in .env.
	const Environment *first_with(std::string_view name, std::string_view other) const;

	// Warns of OAUTH_… variables that nobody asked for.
	void warn_of_unknown(Diagnostics &diagnostics) const;

private:
	// The stronger first.
	std::array<const Environment *, 2> sources() const noexcept
	{
		return {&environment_, &dotenv_};
	}

	const Environment &environment_;
	Environment dotenv_;
	std::set<std::string, std::less<>> asked_;
};

} // namespace sidecar::settings
