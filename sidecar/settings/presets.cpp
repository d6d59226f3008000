#include "settings/presets.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kTenant = "{tenant}";

constexpr Preset kPresets[] = {
	{
		.name = "google",
		.client_id_setting = "GOOGLE_CLIENT_ID",
		.client_secret_setting = "GOOGLE_CLIENT_SECRET",
		.tenant_setting = "",
		.issuer = "https://accounts.google.com",
		.authorization_endpoint = "https://accounts.google.com/o/oauth2/v2/auth",
		.token_endpoint = "https://oauth2.googleapis.com/token",
		.revocation_endpoint = "https://oauth2.googleapis.com/revoke",
		.own_scopes = "openid email",
		// Without `prompt` there is no refresh token the second time.
		.authorize_params = "access_type=offline prompt=consent include_granted_scopes=true",
		.rotation = oauth::Rotation::Kind::none,
	},
	{
		.name = "microsoft",
		.client_id_setting = "MICROSOFT_CLIENT_ID",
		.client_secret_setting = "MICROSOFT_CLIENT_SECRET",
		.tenant_setting = "MICROSOFT_TENANT",
		.issuer = "https://login.microsoftonline.com/{tenant}/v2.0",
		.authorization_endpoint =
			"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
		.token_endpoint = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
		.revocation_endpoint = "",
		.own_scopes = "openid email offline_access",
		.authorize_params = "",
		// A new refresh token comes each time, and the old one goes on working.
		.rotation = oauth::Rotation::Kind::none,
	},
};

std::string with_tenant(std::string address, std::string_view tenant)
{
	const std::size_t at = address.find(kTenant);
	return at == address.npos ? address : address.replace(at, kTenant.size(), tenant);
}

oauth::Pairs pairs_of(std::string_view text)
{
	oauth::Pairs pairs;
	for (const std::string &parameter : split(text, " ")) {
		const std::size_t equals = parameter.find('=');
		pairs.emplace_back(parameter.substr(0, equals), parameter.substr(equals + 1));
	}
	return pairs;
}

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

bool is_tenant(std::string_view tenant) noexcept
{
	constexpr std::string_view kAliases[] = {"common", "organizations", "consumers"};
	if (std::ranges::find(kAliases, tenant) != std::end(kAliases) || is_uuid(tenant))
		return true;
	const auto is_domain_character = [](char c) {
		return is_alphanumeric(c) || c == '-' || c == '.';
	};
	return is_path(tenant) && tenant.find('.') != tenant.npos &&
		   std::ranges::all_of(tenant, is_domain_character);
}

oauth::Provider provider_of(const Preset &preset, std::string_view tenant)
{
	oauth::Provider provider;
	provider.endpoints.issuer = with_tenant(std::string(preset.issuer), tenant);
	provider.endpoints.authorization =
		with_tenant(std::string(preset.authorization_endpoint), tenant);
	provider.endpoints.token = with_tenant(std::string(preset.token_endpoint), tenant);
	provider.endpoints.revocation = preset.revocation_endpoint;
	provider.own_scopes = split(preset.own_scopes, " ");
	provider.authorize_params = pairs_of(preset.authorize_params);
	// Both document the secret in the body, and take it there for certain.
	provider.token_auth = oauth::TokenAuth::post;
	provider.token_auth_is_set = true;
	provider.rotation.kind = preset.rotation;
	// Aliases and domains stand for tenants whose tokens are of the tenant's own issuer.
	provider.issuer_per_tenant = !preset.tenant_setting.empty() && !is_uuid(tenant);
	return provider;
}

} // namespace sidecar::settings
