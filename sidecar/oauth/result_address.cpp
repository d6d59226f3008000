#include "oauth/result_address.hpp"

#include "common/provider_name.hpp"
#include "common/return_address.hpp"
#include "http/parameters.hpp"

#include <algorithm>

namespace sidecar::oauth
{

namespace
{

constexpr std::string_view kOurs[] = {"oauth", "oauth_error", "oauth_provider", "oauth_flow"};

bool is_ours(std::string_view parameter)
{
	const auto name = http::percent_decode(parameter.substr(0, parameter.find('=')), true);
	return name && std::ranges::find(kOurs, *name) != std::end(kOurs);
}

// The query without parameters that would contradict ours.
std::string others(std::string_view query)
{
	std::string kept;
	while (!query.empty()) {
		const std::string_view piece = query.substr(0, query.find('&'));
		query.remove_prefix(std::min(query.size(), piece.size() + 1));
		if (!piece.empty() && !is_ours(piece))
			kept.append(kept.empty() ? "" : "&").append(piece);
	}
	return kept;
}

void append(std::string &query, std::string_view name, std::string_view value)
{
	query.append(query.empty() ? "" : "&").append(name).append("=");
	query.append(http::percent_encode(value));
}

void append_result(std::string &query, const Result &result)
{
	append(query, "oauth",
		   !result.error.empty()  ? "failed"
		   : !result.flow.empty() ? "confirm"
								  : "connected");
	if (!result.error.empty())
		append(query, "oauth_error", result.error);
	append(query, "oauth_provider", result.provider);
}

bool is_allowed(std::string_view return_to, const std::vector<std::string> &origins)
{
	const std::vector<std::string_view> views(origins.begin(), origins.end());
	return common::return_to_allowed(return_to, views);
}

// An address of only scheme and host. Browsers write it with a slash.
bool is_bare_origin(std::string_view path) noexcept
{
	constexpr std::string_view kBeforeHost = "://";
	const std::size_t scheme = path.find(kBeforeHost);
	return !path.starts_with('/') && scheme != path.npos &&
		   path.find('/', scheme + kBeforeHost.size()) == path.npos;
}

// The application cannot confirm from this page, so the code is left out.
std::string done_address(std::string_view public_url, const Result &result)
{
	std::string query;
	append_result(query, result);
	std::string address(public_url);
	address.append("/oauth/").append(common::provider_base(result.provider)).append("/done?");
	return address.append(query);
}

} // namespace

std::string result_address(std::string_view public_url, const std::optional<std::string> &return_to,
						   const std::vector<std::string> &allowed_origins, const Result &result)
{
	if (!return_to || !is_allowed(*return_to, allowed_origins))
		return done_address(public_url, result);
	const std::string_view whole = *return_to;
	const std::string_view before_fragment = whole.substr(0, whole.find('#'));
	const std::string_view fragment = whole.substr(before_fragment.size());
	const std::string_view path = before_fragment.substr(0, before_fragment.find('?'));
	const std::string_view asked = before_fragment.substr(path.size());

	std::string query = others(asked.substr(std::min<std::size_t>(asked.size(), 1)));
	append_result(query, result);
	if (!result.flow.empty())
		append(query, "oauth_flow", result.flow);
	std::string address(path.starts_with('/') ? common::origin_of(public_url) : "");
	address.append(path);
	if (is_bare_origin(path))
		address += '/';
	return address.append("?").append(query).append(fragment);
}

} // namespace sidecar::oauth
