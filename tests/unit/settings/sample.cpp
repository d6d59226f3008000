#include "sample.hpp"

#include <fstream>

namespace
{

// VARIABLE of `key_env = "VARIABLE"`, or nothing.
std::string named_variable(const std::string &setting)
{
	constexpr std::string_view kBefore = "_env = \"";
	const std::size_t at = setting.find(kBefore);
	if (at == setting.npos)
		return {};
	const std::size_t begin = at + kBefore.size();
	return setting.substr(begin, setting.find('"', begin) - begin);
}

} // namespace

std::vector<std::string> read_lines(const std::string &path)
{
	std::ifstream file(std::string(SOURCE_DIR) + "/" + path);
	std::vector<std::string> lines;
	for (std::string line; std::getline(file, line);)
		lines.push_back(line);
	return lines;
}

std::string uncommented(const std::string &line)
{
	const bool is_setting = line.size() > 1 && line[0] == '#' && line[1] != ' ' && line[1] != '#';
	return is_setting ? line.substr(1) : line;
}

Sample read_sample()
{
	Sample sample;
	for (const std::string &line : read_lines("packaging/oauth-sidecar.toml.sample")) {
		const std::string setting = uncommented(line);
		if (setting.starts_with('#') || setting.empty())
			continue;
		if (!sample.blocks.empty() || setting.starts_with('['))
			sample.blocks += setting + "\n";
		else
			sample.top.push_back(setting);
		if (const std::string name = named_variable(setting); !name.empty())
			sample.variables[name] = "a-secret-of-30-characters-00" + name;
	}
	sample.variables["DATABASE_URL"] = "postgresql://app@localhost/app";
	sample.variables["REDIS_URL"] = "redis://localhost";
	sample.variables["OAUTH_CACHE_KEY"] = std::string(43, 'A') + "=";
	return sample;
}
