#include "oauth/answer_members.hpp"

#include "common/ascii.hpp"
#include "oauth/json.hpp"

#include <algorithm>
#include <span>

namespace sidecar::oauth
{

namespace
{

namespace json = boost::json;
using LookAlike = AnswerMembers::LookAlike;
using Names = std::span<const std::string_view>;

constexpr std::size_t kMaxLookAlikes = 8;
constexpr std::size_t kMaxShownPath = 100;

const json::value *find_member(const json::value *parent, std::string_view name)
{
	const json::object *object = parent ? parent->if_object() : nullptr;
	const json::value *found = object ? object->if_contains(name) : nullptr;
	return found != nullptr && found->is_null() ? nullptr : found;
}

// refresh_token, refreshToken and Refresh-Token are one name.
std::string plain_name(std::string_view name)
{
	std::string plain;
	for (const char c : name)
		if (c != '_' && c != '-')
			plain += common::to_lower(c);
	return plain;
}

bool has_part(std::string_view text, Names parts) noexcept
{
	return std::ranges::any_of(parts,
							   [&](std::string_view part) { return text.find(part) != text.npos; });
}

bool is_text(const json::value &value) noexcept
{
	const json::string *text = value.if_string();
	return text != nullptr && !text->empty();
}

bool is_refresh_token(std::string_view name, const json::value &value)
{
	// Not a token: it says something about the refresh token.
	constexpr std::string_view kOthers[] = {"expir", "lifetime", "ttl", "valid",
											"type",  "url",      "uri", "endpoint"};
	if (!is_text(value) || (name != "refresh" && name.find("refreshtoken") == name.npos) ||
		has_part(name, kOthers))
		return false;
	const std::string_view text = value.get_string();
	return text != "true" && text != "false" && !std::ranges::all_of(text, common::is_digit);
}

bool is_expiry(std::string_view name, const json::value &value)
{
	constexpr std::string_view kParts[] = {"expir", "validuntil", "validtill", "validfor",
										   "lifetime"};
	return (has_part(name, kParts) || name == "ttl" || name == "exp") &&
		   name.find("refresh") == name.npos && (value.is_number() || is_text(value));
}

bool is_scope(std::string_view name, const json::value &value)
{
	return name.find("scope") != name.npos &&
		   (is_text(value) || (value.is_array() && !value.get_array().empty()));
}

bool is_shown(std::string_view name) noexcept
{
	return !name.empty() && name.size() <= kMaxShownPath && std::ranges::all_of(name, [](char c) {
		return common::is_digit(c) || common::is_letter(c) || c == '_' || c == '-' || c == '.';
	});
}

using Test = bool (*)(std::string_view, const json::value &);

void collect(const json::value &value, const std::string &path, Test test,
			 std::vector<LookAlike> &found)
{
	const auto visit = [&](std::string_view name, const json::value &member) {
		if (found.size() == kMaxLookAlikes)
			return;
		const bool is_one = !value.is_array() && test(plain_name(name), member);
		if (!is_one && !member.is_structured())
			return;
		const std::string here = (path.empty() ? "" : path + ".") + std::string(name);
		if (is_one)
			found.push_back({is_shown(here) ? here : "", &member});
		else
			collect(member, here, test, found);
	};
	if (const json::object *object = value.if_object())
		for (const auto &member : *object)
			visit(member.key(), member.value());
	if (const json::array *array = value.if_array())
		for (std::size_t i = 0; i < array->size(); i++)
			visit(std::to_string(i), (*array)[i]);
}

std::vector<LookAlike> all_of(const json::value &answer, Test test)
{
	std::vector<LookAlike> found;
	collect(answer, "", test, found);
	return found;
}

} // namespace

AnswerMembers::AnswerMembers(const Provider &provider, const json::value &answer) : answer_(answer)
{
	const std::string_view path = provider.access_token_path;
	if (path.empty()) {
		beside_ = &answer;
		access_token_ = beside({"access_token", "accessToken"}).value;
		return;
	}
	const std::size_t dot = path.rfind('.');
	beside_ = find_path(answer, dot == path.npos ? "" : path.substr(0, dot));
	access_token_ = find_path(answer, path);
}

Member AnswerMembers::beside(std::initializer_list<std::string_view> names) const
{
	for (const std::string_view name : names)
		if (const json::value *found = find_member(beside_, name))
			return {name, found};
	return {};
}

Member AnswerMembers::at(std::string_view path, std::initializer_list<std::string_view> names) const
{
	if (path.empty())
		return beside(names);
	const json::value *found = find_path(answer_, path);
	return {path, found != nullptr && found->is_null() ? nullptr : found};
}

std::vector<LookAlike> AnswerMembers::refresh_tokens() const
{
	return all_of(answer_, is_refresh_token);
}

std::vector<LookAlike> AnswerMembers::expiries() const
{
	return all_of(answer_, is_expiry);
}

std::vector<LookAlike> AnswerMembers::scopes() const
{
	return all_of(answer_, is_scope);
}

} // namespace sidecar::oauth
