#include "base/cpu_quota.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/text.hpp"

namespace sidecar
{

namespace
{

using std::filesystem::path;

// Microseconds; the kernel's own limits.
constexpr long long kShortestPeriod = 1000, kLongestPeriod = 1'000'000;
constexpr long long kLeastTime = 1000, kMostTime = 1LL << 44;

std::string contents(const path &file)
{
	std::ifstream stream(file);
	std::string text(std::istreambuf_iterator<char>(stream), {});
	if (text.ends_with('\n'))
		text.pop_back();
	return text;
}

// Without one, version 2 says "max", and version 1 says -1.
std::optional<double> cores(std::string_view time, std::string_view period)
{
	const auto of_each = parse_number(period, kShortestPeriod, kLongestPeriod);
	const auto allowed = parse_number(time, kLeastTime, kMostTime);
	if (!of_each || !allowed)
		return std::nullopt;
	return static_cast<double>(*allowed) / static_cast<double>(*of_each);
}

std::optional<double> quota_of(const path &group, bool is_version_2)
{
	if (!is_version_2)
		return cores(contents(group / "cpu.cfs_quota_us"), contents(group / "cpu.cfs_period_us"));
	const std::string both = contents(group / "cpu.max");
	const std::string_view text = both;
	const std::size_t space = std::min(text.find(' '), text.size());
	return cores(text.substr(0, space), text.substr(std::min(space + 1, text.size())));
}

bool has_cpu(std::string_view controllers)
{
	const std::vector<std::string> names = split(controllers, ",");
	return std::ranges::find(names, "cpu") != names.end();
}

} // namespace

// A line is ID:CONTROLLERS:PATH. Version 2 has one, without controllers. In a container, the path
// may be the one outside, and only the root is there.
std::optional<double> cpu_quota(const path &self, const path &root)
{
	std::optional<double> least;
	std::ifstream lines(self);
	for (std::string line; std::getline(lines, line);) {
		const std::size_t first = line.find(':');
		const std::size_t second = line.find(':', first + 1);
		if (second == line.npos)
			continue;
		const bool is_version_2 = line.starts_with("0::");
		if (!is_version_2 && !has_cpu(line.substr(first + 1, second - first - 1)))
			continue;
		const path top = is_version_2 ? root : root / "cpu";
		path below = path(line.substr(second + 1)).relative_path();
		for (bool is_top = false; !is_top; below = below.parent_path()) {
			is_top = below.empty();
			if (const auto quota = quota_of(top / below, is_version_2))
				least = std::min(*quota, least.value_or(*quota));
		}
	}
	return least;
}

int cores_within(int cores, std::optional<double> quota)
{
	return quota ? static_cast<int>(std::clamp(std::ceil(*quota), 1.0, double(cores))) : cores;
}

} // namespace sidecar
