#include "oauth/scopes.hpp"

#include "common/ascii.hpp"

#include <algorithm>
#include <unordered_set>

namespace sidecar::oauth
{

namespace
{

std::string_view next_scope(std::string_view &text, std::string_view separator) noexcept
{
	std::size_t end = 0;
	while (end < text.size() && !common::is_white_space(text[end]) &&
		   (separator.empty() || !text.substr(end).starts_with(separator)))
		end++;
	const std::string_view scope = text.substr(0, end);
	text.remove_prefix(end);
	if (!separator.empty() && text.starts_with(separator))
		text.remove_prefix(separator.size());
	else if (!text.empty())
		text.remove_prefix(1);
	return scope;
}

std::vector<std::string> without_doubles(std::vector<std::string> scopes)
{
	std::unordered_set<std::string> seen;
	std::erase_if(scopes, [&](const std::string &scope) { return !seen.insert(scope).second; });
	return scopes;
}

} // namespace

std::vector<std::string> split_scopes(std::string_view text, std::string_view separator)
{
	std::vector<std::string> scopes;
	while (!text.empty()) {
		const std::string_view scope = next_scope(text, separator);
		if (!scope.empty())
			scopes.emplace_back(scope);
	}
	return without_doubles(std::move(scopes));
}

std::vector<std::string> granted_scopes(std::string_view text, std::string_view separator,
										const std::vector<std::string> &asked)
{
	constexpr std::string_view kOthers = ",;+";
	std::vector<std::string> scopes;
	for (const std::string &part : split_scopes(text, separator)) {
		if (std::ranges::find(asked, part) != asked.end()) {
			scopes.push_back(part);
			continue;
		}
		for (std::string_view rest = part; !rest.empty();) {
			const std::string_view scope = rest.substr(0, rest.find_first_of(kOthers));
			rest.remove_prefix(std::min(rest.size(), scope.size() + 1));
			if (!scope.empty())
				scopes.emplace_back(scope);
		}
	}
	return without_doubles(std::move(scopes));
}

std::string join_scopes(const std::vector<std::string> &scopes, std::string_view separator)
{
	std::string text;
	for (const std::string &scope : scopes) {
		if (!text.empty())
			text += separator;
		text += scope;
	}
	return text;
}

std::vector<std::string> asked_scopes(const Provider &provider,
									  const std::optional<std::string> &of_link)
{
	std::vector<std::string> scopes =
		of_link ? split_scopes(*of_link, provider.scope_separator) : provider.scopes;
	scopes.insert(scopes.end(), provider.own_scopes.begin(), provider.own_scopes.end());
	return without_doubles(std::move(scopes));
}

} // namespace sidecar::oauth
