#include "oauth/grant_details.hpp"

#include "common/ascii.hpp"
#include "oauth/json.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cmath>

namespace sidecar::oauth
{

namespace
{

namespace json = boost::json;

constexpr std::size_t kMaxAccountBytes = 1024;

// A shorter token may be part of many unrelated texts.
constexpr std::size_t kMinSearchedToken = 16;

bool tells_token(std::string_view text, std::span<const std::string_view> tokens) noexcept
{
	return std::ranges::any_of(tokens, [&](std::string_view token) {
		return text == token ||
			   (token.size() >= kMinSearchedToken && text.find(token) != text.npos);
	});
}

// access_token, refreshToken, client_secret …
bool is_secret_name(std::string_view name) noexcept
{
	constexpr std::string_view kEndings[] = {"token", "secret"};
	return std::ranges::any_of(kEndings, [&](std::string_view ending) {
		return name.size() >= ending.size() &&
			   common::equal_ignoring_case(name.substr(name.size() - ending.size()), ending);
	});
}

// jsonb cannot contain a NUL.
bool is_storable(std::string_view text, std::span<const std::string_view> tokens) noexcept
{
	return text.find('\0') == text.npos && !tells_token(text, tokens);
}

// A copy in ordinary memory, without secrets. Nothing if nothing is left.
std::optional<json::value> copy_open(const json::value &value,
									 std::span<const std::string_view> tokens)
{
	if (const json::string *text = value.if_string())
		return is_storable(*text, tokens) ? std::optional(json::value(std::string_view(*text)))
										  : std::nullopt;
	if (value.is_double() && !std::isfinite(value.get_double()))
		return std::nullopt;
	if (const json::array *array = value.if_array()) {
		json::array copy;
		for (const json::value &element : *array)
			if (auto open = copy_open(element, tokens))
				copy.push_back(std::move(*open));
		return copy;
	}
	if (const json::object *object = value.if_object()) {
		json::object copy;
		for (const auto &member : *object)
			if (!is_secret_name(member.key()) && is_storable(member.key(), tokens))
				if (auto open = copy_open(member.value(), tokens))
					copy.emplace(member.key(), std::move(*open));
		return copy;
	}
	return json::value(value, json::storage_ptr());
}

void add_answered(json::object &extra, const GrantDetails &details, std::string_view path)
{
	const json::value *found = find_path(details.answer, path);
	if (found == nullptr || found->is_null() || found->is_array() || is_secret_name(path) ||
		path == details.provider.access_token_path || path == details.provider.refresh_token_path)
		return;
	if (auto open = copy_open(*found, details.tokens);
		open && json::serialize(*open).size() <= kMaxExtraBytes)
		extra[path] = std::move(*open);
}

json::object write_extra(const GrantDetails &details)
{
	json::object extra;
	if (details.stored != nullptr)
		extra = details.stored->extra;
	for (const auto &[name, value] : details.callback_extra)
		if (value.size() <= kMaxExtraBytes && is_storable(value, details.tokens))
			extra[name] = value;
	// The answer wins over the parameters: it came from the provider, and they came by the
	// browser.
	for (const std::string &path : details.provider.extra)
		add_answered(extra, details, path);
	return extra;
}

// A text or an integer that names an account; empty if there is none.
std::string account_at(const GrantDetails &details, std::string_view path)
{
	const json::value *found = path.empty() ? nullptr : find_path(details.answer, path);
	if (found == nullptr)
		return {};
	if (const std::int64_t *number = found->if_int64())
		return std::to_string(*number);
	if (const std::uint64_t *number = found->if_uint64())
		return std::to_string(*number);
	const json::string *text = found->if_string();
	if (text == nullptr || text->size() > kMaxAccountBytes || tells_token(*text, details.tokens) ||
		std::ranges::any_of(*text, common::is_control))
		return {};
	return std::string(std::string_view(*text));
}

void add(json::object &object, std::string_view name, std::string_view text)
{
	if (!text.empty())
		object[name] = text;
}

} // namespace

std::string write_details(const GrantDetails &details)
{
	const Provider &provider = details.provider;
	const auto &claims = details.claims;
	const StoredGrant *stored = details.stored;
	json::object object;
	if (stored == nullptr || stored->account_id.empty())
		add(object, "account_id",
			claims ? claims->subject : account_at(details, provider.account_id_path));
	add(object, "account_label",
		claims && !claims->email.empty() ? claims->email
										 : account_at(details, provider.account_label_path));
	if (stored == nullptr)
		add(object, "issuer", claims ? claims->issuer : "");
	if (stored == nullptr || stored->client_id.empty())
		add(object, "client_id", details.client_id);
	if (json::object extra = write_extra(details);
		!extra.empty() && (stored == nullptr || extra != stored->extra))
		object["extra"] = std::move(extra);
	if (details.lifetime)
		object["lifetime"] = *details.lifetime;
	if (details.refresh_expires_in)
		object["refresh_expires_in"] = *details.refresh_expires_in;
	return json::serialize(object);
}

} // namespace sidecar::oauth
