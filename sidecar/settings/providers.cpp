#include "settings/providers.hpp"

#include <algorithm>
#include <utility>

#include "common/provider_name.hpp"
#include "settings/presets.hpp"
#include "settings/provider_block.hpp"
#include "base/text.hpp"

namespace sidecar::settings
{

namespace
{

ClientOverride read_override(Inputs &inputs, const Preset &preset)
{
	ClientOverride given;
	given.client_id = inputs.text(preset.client_id_setting);
	given.client_secret = inputs.secret(preset.client_secret_setting);
	if (preset.tenant_setting.empty())
		return given;
	given.tenant = inputs.text(preset.tenant_setting);
	if (given.tenant && !is_tenant(*given.tenant)) {
		inputs.findings().fault(preset.tenant_setting, "it must be common, organizations, "
													   "consumers, a domain or a GUID");
		given.tenant.reset();
	}
	return given;
}

void read_block(Inputs &inputs, const std::string &name, TomlTable &table, ClientOverride given,
				Settings &settings)
{
	Block block(table, "providers." + name + ".", inputs.place());
	settings.providers.insert_or_assign(
		name, read_provider(name, block, std::move(given), inputs.findings()));
}

// A preset without a block. Half a client is a fault, and nothing else is.
void read_preset(Inputs &inputs, const Preset &preset, ClientOverride given, Settings &settings)
{
	Findings &findings = inputs.findings();
	if (given.client_id && given.client_secret) {
		TomlTable nothing;
		read_block(inputs, std::string(preset.name), nothing, std::move(given), settings);
		return;
	}
	// A value that was there and wrong has its own fault.
	const auto is_faulted = [&](std::string_view setting) {
		return std::ranges::any_of(findings.faults, [&](const Fault &fault) {
			return fault.setting.starts_with(setting);
		});
	};
	const std::string_view missing =
		given.client_id ? preset.client_secret_setting : preset.client_id_setting;
	if ((given.client_id || given.client_secret) && !is_faulted(missing))
		findings.fault(missing, "it is missing; a client is an id and a secret");
}

} // namespace

void read_providers(Inputs &inputs, TomlValue *blocks, Settings &settings)
{
	Findings &findings = inputs.findings();
	TomlTable none;
	TomlTable *table = blocks == nullptr ? &none : std::get_if<TomlTable>(&blocks->data);
	if (table == nullptr) {
		findings.fault("providers", "each provider is a block, headed [providers.NAME]");
		table = &none;
	}

	std::map<std::string, ClientOverride, std::less<>> overrides;
	for (const Preset &preset : presets())
		overrides.emplace(preset.name, read_override(inputs, preset));
	for (TomlMember &member : *table) {
		const std::string setting = "providers." + shown_name(member.key);
		auto *block = std::get_if<TomlTable>(&member.value.data);
		ClientOverride given;
		if (auto found = overrides.extract(member.key))
			given = std::move(found.mapped());
		if (member.key.find('.') != std::string::npos || !flow::is_provider_name(member.key))
			findings.fault(setting, "a provider's name is of a-z, 0-9, _ and -, and does not begin "
									"with _ or -; labels (google.work) need no block");
		else if (block == nullptr)
			findings.fault(setting, "it must be a block of its own, headed [providers.NAME]");
		else
			read_block(inputs, member.key, *block, std::move(given), settings);
	}
	for (auto &[name, given] : overrides)
		read_preset(inputs, *find_preset(name), std::move(given), settings);
	if (settings.providers.empty())
		findings.warn("providers", "none is configured; nobody can connect an account");
}

} // namespace sidecar::settings
