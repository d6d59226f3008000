#include "settings/presets.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "common/uuid.hpp"

namespace sidecar::settings
{

namespace
{

// Both document the secret in the body, and take it there for certain.
constexpr Preset kPresets[] = {
	// Without `prompt` there is no refresh token the second time.
	{"google", "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "", R"(
issuer = "https://accounts.google.com"
authorization_endpoint = "https://accounts.google.com/o/oauth2/v2/auth"
token_endpoint = "https://oauth2.googleapis.com/token"
revocation_endpoint = "https://oauth2.googleapis.com/revoke"
scopes = "openid email"
authorize_params = { access_type = "offline", prompt = "consent", include_granted_scopes = "true" }
token_auth = "post"
rotation = "none"
)"},
	// A new refresh token comes each time, and the old one goes on working. It cannot revoke.
	{"microsoft", "MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET", "MICROSOFT_TENANT", R"(
issuer = "https://login.microsoftonline.com/{tenant}/v2.0"
authorization_endpoint = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize"
token_endpoint = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
scopes = "openid email offline_access"
token_auth = "post"
rotation = "none"
)"},
};

} // namespace

std::span<const Preset> presets() noexcept
{
	return kPresets;
}

const Preset *find_preset(std::string_view name) noexcept
{
	const auto *found = std::ranges::find(kPresets, name, &Preset::name);
	return found == std::end(kPresets) ? nullptr : found;
}

std::string block_of(const Preset &preset, std::string_view tenant)
{
	constexpr std::string_view kTenant = "{tenant}";
	std::string block(preset.block);
	for (std::size_t at = 0; (at = block.find(kTenant, at)) != block.npos;)
		block.replace(at, kTenant.size(), tenant);
	return block;
}

bool is_tenant(std::string_view tenant) noexcept
{
	constexpr std::string_view kAliases[] = {"common", "organizations", "consumers"};
	if (std::ranges::find(kAliases, tenant) != std::end(kAliases) || common::is_uuid(tenant))
		return true;
	const auto is_domain_character = [](char c) {
		return is_alphanumeric(c) || c == '-' || c == '.';
	};
	return is_path(tenant) && tenant.find('.') != tenant.npos &&
		   std::ranges::all_of(tenant, is_domain_character);
}

} // namespace sidecar::settings
