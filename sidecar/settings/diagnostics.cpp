#include "settings/diagnostics.hpp"

#include <algorithm>
#include <numeric>

#include "base/text.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::size_t kLongestShownName = 64;

// Levenshtein's distance, case aside.
std::size_t distance(std::string_view left, std::string_view right)
{
	std::vector<std::size_t> row(right.size() + 1);
	std::iota(row.begin(), row.end(), std::size_t{0});
	for (std::size_t i = 0; i < left.size(); i++) {
		std::size_t diagonal = row[0];
		row[0] = i + 1;
		for (std::size_t j = 0; j < right.size(); j++) {
			const std::size_t replaced =
				diagonal + (common::to_lower(left[i]) == common::to_lower(right[j]) ? 0 : 1);
			diagonal = row[j + 1];
			row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
		}
	}
	return row.back();
}

} // namespace

void Diagnostics::error(std::string_view setting, std::string_view message)
{
	errors.push_back({std::string(setting), std::string(message)});
}

void Diagnostics::warn(std::string_view setting, std::string_view message)
{
	warnings.push_back(std::string(setting) + ": " + std::string(message));
}

bool Diagnostics::has_error(std::string_view setting) const
{
	constexpr std::string_view kPrefix = "oauth_";
	const std::string name = lower(setting);
	const std::string key = name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
	return std::ranges::any_of(errors, [&](const SettingError &error) {
		return lower(error.setting).starts_with(name) || error.setting.starts_with(key);
	});
}

std::string_view line_error(std::string_view value) noexcept
{
	if (common::trim(value).empty())
		return "it is empty; give it a value, or leave it out";
	if (has_control_characters(value))
		return "it has control characters; it must be a single line";
	return {};
}

std::optional<common::Secret> checked_line(std::string_view setting, common::Secret value,
										   Diagnostics &diagnostics)
{
	const std::string_view wrong = line_error(value.reveal());
	if (wrong.empty())
		return value;
	diagnostics.error(setting, wrong);
	return std::nullopt;
}

std::string describe_errors(const std::vector<SettingError> &errors)
{
	std::string text;
	for (const SettingError &error : errors)
		text += "  " + error.setting + ": " + error.message + "\n";
	return text;
}

std::string shown_name(std::string_view name)
{
	const bool plain =
		!name.empty() && name.size() <= kLongestShownName && std::ranges::all_of(name, [](char c) {
			return is_alphanumeric(c) || c == '_' || c == '-' || c == '.';
		});
	return plain ? std::string(name) : "(a name with odd characters)";
}

std::string nearest_hint(std::string_view name, const std::vector<std::string> &known)
{
	if (name.size() > kLongestShownName)
		return {};
	const std::string *nearest = nullptr;
	std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;
	for (const std::string &candidate : known)
		if (const std::size_t far = distance(name, candidate); far < least) {
			least = far;
			nearest = &candidate;
		}
	return nearest == nullptr ? "" : " (did you mean " + *nearest + "?)";
}

} // namespace sidecar::settings
