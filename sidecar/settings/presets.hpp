// The providers that need no more than a client: everything else about them is
// written here, so that nothing is discovered at start.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sidecar::settings
{

struct Preset {
	std::string_view name;
	// Settings that make the provider of the preset's own name without a file.
	std::string_view client_id_setting;
	std::string_view client_secret_setting;
	std::string_view tenant_setting; // empty: it has no tenants
	// What a block without a preset would say; {tenant} stands for the tenant.
	std::string_view block;
};

std::span<const Preset> presets() noexcept;

// Null if there is none of that name.
const Preset *find_preset(std::string_view name) noexcept;

std::string block_of(const Preset &preset, std::string_view tenant);

// What a preset with tenants takes: common, organizations, consumers, a domain
// or a GUID.
bool is_tenant(std::string_view tenant) noexcept;

} // namespace sidecar::settings
