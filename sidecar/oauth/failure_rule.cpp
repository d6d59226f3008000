#include "oauth/failure_rule.hpp"

#include "common/ascii.hpp"

#include <algorithm>
#include <iterator>

namespace sidecar::oauth
{

namespace
{

constexpr std::string_view kNames[] = {"transient",         "no_answer",     "dead_grant",
									   "needs_interaction", "client_config", "not_sent"};

} // namespace

std::string_view name_of(FailureKind kind) noexcept
{
	return kNames[static_cast<std::size_t>(kind)];
}

std::optional<FailureKind> failure_kind_of(std::string_view name) noexcept
{
	const auto *found = std::ranges::find(kNames, name);
	const auto kind = static_cast<FailureKind>(found - std::begin(kNames));
	if (found == std::end(kNames) || kind == FailureKind::not_sent)
		return std::nullopt;
	return kind;
}

bool is_failure_match(std::string_view match) noexcept
{
	const std::size_t colon = match.find(": ");
	const std::string_view head = match.substr(0, colon);
	const bool has_words = colon == match.npos || !common::trim(match.substr(colon + 2)).empty();
	return !head.empty() && has_words && !head.ends_with(':') &&
		   std::ranges::all_of(match, common::is_printable) && common::trim(match) == match;
}

} // namespace sidecar::oauth
