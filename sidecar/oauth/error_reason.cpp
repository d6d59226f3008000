#include "oauth/error_reason.hpp"

namespace sidecar::oauth
{

namespace
{

constexpr std::string_view kStart = "the provider answered ";

constexpr std::string_view kReasons[] = {
	"the provider answered access_denied",
	"the provider answered account_selection_required",
	"the provider answered consent_required",
	"the provider answered interaction_required",
	"the provider answered invalid_client",
	"the provider answered invalid_grant",
	"the provider answered invalid_request",
	"the provider answered invalid_scope",
	"the provider answered login_required",
	"the provider answered server_error",
	"the provider answered temporarily_unavailable",
	"the provider answered unauthorized_client",
	"the provider answered unsupported_grant_type",
	"the provider answered unsupported_response_type",
};

} // namespace

std::string_view error_reason(std::string_view code) noexcept
{
	for (const std::string_view reason : kReasons)
		if (reason.substr(kStart.size()) == code)
			return reason;
	return "the provider answered an error of its own";
}

} // namespace sidecar::oauth
