#include "oauth/tenant_issuer.hpp"

#include "common/uuid.hpp"

namespace sidecar::oauth
{

namespace
{

constexpr std::string_view kPrefix = "https://login.microsoftonline.com/";
constexpr std::string_view kSuffix = "/v2.0";

} // namespace

std::optional<std::string_view> tenant_of(std::string_view issuer) noexcept
{
	if (!issuer.starts_with(kPrefix) || !issuer.ends_with(kSuffix) ||
		issuer.size() != kPrefix.size() + common::kUuidForm.size() + kSuffix.size())
		return std::nullopt;
	const std::string_view tenant = issuer.substr(kPrefix.size(), common::kUuidForm.size());
	return common::is_lower_case_uuid(tenant) ? std::optional(tenant) : std::nullopt;
}

} // namespace sidecar::oauth
