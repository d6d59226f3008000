#include "oauth/tenant_issuer.hpp"

#include "common/ascii.hpp"

namespace sidecar::oauth
{

namespace
{

constexpr std::string_view kPrefix = "https://login.microsoftonline.com/";
constexpr std::string_view kSuffix = "/v2.0";
constexpr std::string_view kUuidForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

bool is_uuid(std::string_view text) noexcept
{
	return std::ranges::equal(text, kUuidForm, [](char c, char form) {
		return form == '-' ? c == '-' : http::is_lower_hex(c);
	});
}

} // namespace

std::optional<std::string_view> tenant_of(std::string_view issuer) noexcept
{
	if (!issuer.starts_with(kPrefix) || !issuer.ends_with(kSuffix) ||
		issuer.size() != kPrefix.size() + kUuidForm.size() + kSuffix.size())
		return std::nullopt;
	const std::string_view tenant = issuer.substr(kPrefix.size(), kUuidForm.size());
	return is_uuid(tenant) ? std::optional(tenant) : std::nullopt;
}

} // namespace sidecar::oauth
