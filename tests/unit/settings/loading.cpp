#include "loading.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "settings/diagnostics.hpp"

using sidecar::settings::SettingError;

TestDirectory::TestDirectory()
{
	std::string name = testing::TempDir() + "settingsXXXXXX";
	if (mkdtemp(name.data()) == nullptr)
		throw std::runtime_error("mkdtemp");
	path_ = name;
}

TestDirectory::~TestDirectory()
{
	std::filesystem::remove_all(path_);
}

std::string TestDirectory::write(const std::string &name, std::string_view content, unsigned mode)
{
	const std::string path = path_ + "/" + name;
	std::ofstream(path) << content;
	chmod(path.c_str(), mode);
	return path;
}

Loaded load_toml(std::string_view toml, Environment environment)
{
	TestDirectory directory;
	directory.write("oauth-sidecar.toml", toml);
	environment.try_emplace("DATABASE_URL", "postgresql://app@localhost/app");
	return sidecar::settings::load(environment, directory.path());
}

Loaded load_environment(Environment environment)
{
	TestDirectory directory;
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
	for (const SettingError &error : loaded.errors)
		names.push_back(error.setting);
	return names;
}

testing::AssertionResult has_error(const Loaded &loaded, std::string_view setting,
								   std::string_view part)
{
	if (loaded.errors.size() == 1 && loaded.errors[0].setting == setting &&
		loaded.errors[0].message.find(part) != std::string::npos)
		return testing::AssertionSuccess();
	return testing::AssertionFailure() << "wanted " << setting << ": …" << part << "…, got\n"
									   << sidecar::settings::describe_errors(loaded.errors);
}

testing::AssertionResult has_no_error(const Loaded &loaded)
{
	if (loaded.errors.empty())
		return testing::AssertionSuccess();
	return testing::AssertionFailure() << sidecar::settings::describe_errors(loaded.errors);
}

bool has_warning(const Loaded &loaded, std::string_view part)
{
	return std::ranges::any_of(loaded.settings.warnings, [&](const std::string &warning) {
		return warning.find(part) != std::string::npos;
	});
}
