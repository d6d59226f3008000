// The issuers of Microsoft's tenants: where anyone's tenant may answer, no one
// issuer can be expected, but the form of all of them is known (docs/design/flow.md, "Providers").
#pragma once

#include <optional>
#include <string_view>

namespace sidecar::oauth
{

// What the metadata of the endpoints that serve all tenants calls its issuer.
inline constexpr std::string_view kTenantIssuerTemplate =
	"https://login.microsoftonline.com/{tenantid}/v2.0";

// The tenant's lower-case uuid; nothing if the issuer is of another form.
std::optional<std::string_view> tenant_of(std::string_view issuer) noexcept;

} // namespace sidecar::oauth
