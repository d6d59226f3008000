// oauth-sidecar: connects OAuth accounts in the browser, and returns their tokens, which
// PostgreSQL stores. See README.md and oauth-sidecar(1).

#include <fmt/format.h>
#include <getopt.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "base/log.hpp"
#include "base/process.hpp"
#include "check.hpp"
#include "daemon.hpp"
#include "settings/diagnostics.hpp"
#include "settings/settings.hpp"
#include "settings/settings_table.hpp"

extern char **environ;

namespace
{

using namespace sidecar;

constexpr int kUsageError = 2;

enum class Mode { run, check };

settings::Environment environment()
{
	settings::Environment variables;
	for (char **entry = environ; *entry != nullptr; entry++)
		if (const char *equals = std::strchr(*entry, '='))
			variables[std::string(*entry, static_cast<std::size_t>(equals - *entry))] = equals + 1;
	return variables;
}

// Ends the process for options such as --help; otherwise returns what to do.
Mode read_options(int argc, char **argv, settings::Environment &variables)
{
	const option options[] = {{"check", no_argument, nullptr, 'n'},
							  {"config", required_argument, nullptr, 'c'},
							  {"help", no_argument, nullptr, 'h'},
							  {"version", no_argument, nullptr, 'V'},
							  {}};
	Mode mode = Mode::run;
	for (int chosen; (chosen = getopt_long(argc, argv, "c:hV", options, nullptr)) != -1;)
		switch (chosen) {
		case 'n':
			mode = Mode::check;
			break;
		case 'c':
			variables["OAUTH_CONFIG"] = optarg;
			break;
		case 'h':
			std::fputs(settings::help_text().c_str(), stdout);
			std::exit(0);
		case 'V':
			std::puts("oauth-sidecar " OAUTH_TOKENS_VERSION);
			std::exit(0);
		default:
			std::exit(kUsageError);
		}
	if (optind < argc) {
		fmt::print(stderr, "oauth-sidecar: takes options only; see --help\n");
		std::exit(kUsageError);
	}
	return mode;
}

int start(Mode mode, const settings::Environment &variables)
{
	settings::Loaded loaded = settings::load(variables, ".");
	if (!loaded.errors.empty()) {
		std::fputs(settings::describe_errors(loaded.errors).c_str(), stderr);
		return 1;
	}
	if (mode == Mode::check)
		return run_check(std::move(loaded.settings));
	log::set_level(loaded.settings.log_level);
	for (const std::string &warning : loaded.settings.warnings)
		log::warning(warning);
	return run_daemon(std::move(loaded.settings));
}

} // namespace

int main(int argc, char **argv)
{
	process::harden();
	try {
		settings::Environment variables = environment();
		const Mode mode = read_options(argc, argv, variables);
		return start(mode, variables);
	} catch (const std::exception &error) {
		log::error("the daemon cannot continue", {{"reason", error.what()}});
		return 1;
	}
}
