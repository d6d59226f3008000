// The issuers of Microsoft's tenants. If any tenant may answer, the issuer is not known in
// advance, but its form is (docs/design/flow.md, "Providers").
#pragma once

#include <optional>
#include <string_view>

namespace sidecar::oauth
{

// The issuer in the metadata of the endpoints that serve all tenants.
inline constexpr std::string_view kTenantIssuerTemplate =
	"https://login.microsoftonline.com/{tenantid}/v2.0";

// The tenant's lower-case uuid; nothing if the issuer is of another form.
std::optional<std::string_view> tenant_of(std::string_view issuer) noexcept;

} // namespace sidecar::oauth
