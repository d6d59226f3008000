// The providers that need no more than a client: everything else about them is
// written here, so that nothing is discovered at start.
#pragma once

#include <span>
#include <string_view>

#include "oauth/provider.hpp"

namespace sidecar::settings
{

struct Preset {
	std::string_view name;
	// Settings that make the provider of the preset's own name without a file.
	std::string_view client_id_setting;
	std::string_view client_secret_setting;
	std::string_view tenant_setting; // empty: it has no tenants

	std::string_view issuer; // "{tenant}" stands for the tenant
	std::string_view authorization_endpoint;
	std::string_view token_endpoint;
	std::string_view revocation_endpoint; // empty: it cannot revoke
	std::string_view own_scopes;
	std::string_view authorize_params; // "name=value name=value"
	oauth::Rotation::Kind rotation;
};

std::span<const Preset> presets() noexcept;

// Null where there is none of that name.
const Preset *find_preset(std::string_view name) noexcept;

// What a preset with tenants takes: common, organizations, consumers, a domain
// or a GUID.
inline constexpr std::string_view kDefaultTenant = "common";
bool is_tenant(std::string_view tenant) noexcept;

// A provider as the preset has it, without name and client.
oauth::Provider provider_of(const Preset &preset, std::string_view tenant);

} // namespace sidecar::settings
