#include "settings/providers.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "common/provider_name.hpp"
#include "settings/presets.hpp"
#include "settings/provider_block.hpp"

namespace sidecar::settings
{

namespace
{

ClientOverride read_override(SettingReader &reader, const Preset &preset)
{
	ClientOverride given;
	given.client_id = reader.text(preset.client_id_setting);
	given.client_secret = reader.secret(preset.client_secret_setting);
	if (preset.tenant_setting.empty())
		return given;
	given.tenant = reader.text(preset.tenant_setting);
	if (given.tenant && !is_tenant(*given.tenant)) {
		reader.diagnostics().error(preset.tenant_setting, "it must be common, organizations, "
														  "consumers, a domain or a GUID");
		given.tenant.reset();
	}
	return given;
}

void read_block(SettingReader &reader, const std::string &name, TomlTable &table,
				ClientOverride given, Settings &settings)
{
	TableReader block(table, "providers." + name + ".", reader.place());
	settings.providers.insert_or_assign(
		name, read_provider(name, block, std::move(given), reader.diagnostics()));
}

// A preset without a block. Half a client is an error, and nothing else is.
void read_preset(SettingReader &reader, const Preset &preset, ClientOverride given,
				 Settings &settings)
{
	Diagnostics &diagnostics = reader.diagnostics();
	if (given.client_id && given.client_secret) {
		TomlTable nothing;
		read_block(reader, std::string(preset.name), nothing, std::move(given), settings);
		return;
	}
	// A value that was there and wrong has its own error.
	const auto is_faulted = [&](std::string_view setting) {
		return std::ranges::any_of(diagnostics.errors, [&](const SettingError &error) {
			return error.setting.starts_with(setting);
		});
	};
	const std::string_view missing =
		given.client_id ? preset.client_secret_setting : preset.client_id_setting;
	if ((given.client_id || given.client_secret) && !is_faulted(missing))
		diagnostics.error(missing, "it is missing; a client is an id and a secret");
}

} // namespace

void read_providers(SettingReader &reader, TomlValue *blocks, Settings &settings)
{
	Diagnostics &diagnostics = reader.diagnostics();
	TomlTable none;
	TomlTable *table = blocks == nullptr ? &none : std::get_if<TomlTable>(&blocks->data);
	if (table == nullptr) {
		diagnostics.error("providers", "each provider is a block, headed [providers.NAME]");
		table = &none;
	}

	std::map<std::string, ClientOverride, std::less<>> overrides;
	for (const Preset &preset : presets())
		overrides.emplace(preset.name, read_override(reader, preset));
	for (TomlMember &member : *table) {
		const std::string setting = "providers." + shown_name(member.key);
		auto *block = std::get_if<TomlTable>(&member.value.data);
		ClientOverride given;
		if (auto found = overrides.extract(member.key))
			given = std::move(found.mapped());
		if (member.key.find('.') != std::string::npos || !flow::is_provider_name(member.key))
			diagnostics.error(setting,
							  "a provider's name is of a-z, 0-9, _ and -, and does not begin "
							  "with _ or -; labels (google.work) need no block");
		else if (block == nullptr)
			diagnostics.error(setting, "it must be a block of its own, headed [providers.NAME]");
		else
			read_block(reader, member.key, *block, std::move(given), settings);
	}
	for (auto &[name, given] : overrides)
		read_preset(reader, *find_preset(name), std::move(given), settings);
	if (settings.providers.empty())
		diagnostics.warn("providers", "none is configured; nobody can connect an account");
}

} // namespace sidecar::settings
