#include "loading.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "settings/diagnostics.hpp"

using sidecar::settings::Fault;

Directory::Directory()
{
	std::string name = testing::TempDir() + "settingsXXXXXX";
	if (mkdtemp(name.data()) == nullptr)
		throw std::runtime_error("mkdtemp");
	path_ = name;
}

Directory::~Directory()
{
	std::filesystem::remove_all(path_);
}

std::string Directory::write(const std::string &name, std::string_view content, unsigned mode)
{
	const std::string path = path_ + "/" + name;
	std::ofstream(path) << content;
	chmod(path.c_str(), mode);
	return path;
}

Loaded load_toml(std::string_view toml, Environment environment)
{
	Directory directory;
	directory.write("oauth-sidecar.toml", toml);
	environment.try_emplace("DATABASE_URL", "postgresql://app@localhost/app");
	return sidecar::settings::load(environment, directory.path());
}

Loaded load_environment(Environment environment)
{
	Directory directory;
	environment.try_emplace("DATABASE_URL", "postgresql://app@localhost/app");
	return sidecar::settings::load(environment, directory.path());
}

Loaded load_provider(std::string_view block)
{
	return load_toml("[providers.some]\n"
					 "client_id = 'id'\n" +
					 std::string(block));
}

std::vector<std::string> faulted(const Loaded &loaded)
{
	std::vector<std::string> names;
	for (const Fault &fault : loaded.faults)
		names.push_back(fault.setting);
	return names;
}

testing::AssertionResult has_fault(const Loaded &loaded, std::string_view setting,
								   std::string_view part)
{
	if (loaded.faults.size() == 1 && loaded.faults[0].setting == setting &&
		loaded.faults[0].message.find(part) != std::string::npos)
		return testing::AssertionSuccess();
	return testing::AssertionFailure() << "wanted " << setting << ": …" << part << "…, got\n"
									   << sidecar::settings::describe_faults(loaded.faults);
}

testing::AssertionResult has_no_fault(const Loaded &loaded)
{
	if (loaded.faults.empty())
		return testing::AssertionSuccess();
	return testing::AssertionFailure() << sidecar::settings::describe_faults(loaded.faults);
}

bool has_warning(const Loaded &loaded, std::string_view part)
{
	return std::ranges::any_of(loaded.settings.warnings, [&](const std::string &warning) {
		return warning.find(part) != std::string::npos;
	});
}
