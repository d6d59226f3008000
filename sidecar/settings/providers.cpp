#include "settings/providers.hpp"

#include <utility>

#include "base/text.hpp"
#include "common/provider_name.hpp"
#include "settings/presets.hpp"
#include "settings/provider_block.hpp"
#include "settings/setting_reader.hpp"

namespace sidecar::settings
{

namespace
{

std::optional<std::string> text_of(std::string_view setting, TableReader &top)
{
	const auto value = value_of(find_setting(setting), top);
	return value ? std::optional<std::string>(value->reveal()) : std::nullopt;
}

ClientOverride read_override(TableReader &top, const Preset &preset)
{
	ClientOverride given;
	given.client_id = text_of(preset.client_id_setting, top);
	given.client_secret = value_of(find_setting(preset.client_secret_setting), top);
	if (preset.tenant_setting.empty())
		return given;
	given.tenant = text_of(preset.tenant_setting, top);
	if (given.tenant && !is_tenant(*given.tenant)) {
		top.error(preset.tenant_setting,
				  "it must be common, organizations, consumers, a domain or a GUID");
		given.tenant.reset();
	}
	return given;
}

void read_block(const std::string &name, toml::table &table, ClientOverride given, Sources &sources,
				Settings &settings)
{
	TableReader block(table, "providers." + name + ".", sources);
	settings.providers.insert_or_assign(name, read_provider(name, block, std::move(given)));
}

// A preset without a block. Half a client is an error, and nothing else is.
void read_preset(const Preset &preset, ClientOverride given, Sources &sources, Settings &settings)
{
	toml::table nothing;
	if (given.client_id && given.client_secret)
		return read_block(std::string(preset.name), nothing, std::move(given), sources, settings);
	const std::string_view missing =
		given.client_id ? preset.client_secret_setting : preset.client_id_setting;
	// A value that was there and wrong has its own error.
	if ((given.client_id || given.client_secret) && !sources.diagnostics.has_error(missing))
		sources.diagnostics.error(missing, "it is missing; a client is an id and a secret");
}

} // namespace

void read_providers(TableReader &top, Settings &settings)
{
	std::map<std::string, ClientOverride, std::less<>> overrides;
	for (const Preset &preset : presets())
		overrides.emplace(preset.name, read_override(top, preset));
	toml::node *blocks = top.find("providers");
	toml::table none;
	toml::table &table = blocks != nullptr && blocks->is_table() ? *blocks->as_table() : none;
	if (blocks != nullptr && !blocks->is_table())
		top.error("providers", "each provider is a block, headed [providers.NAME]");
	for (auto &&[key, node] : table) {
		const std::string name(key.str());
		const std::string setting = "providers." + shown_name(name);
		ClientOverride given;
		if (auto found = overrides.extract(name))
			given = std::move(found.mapped());
		if (name.find('.') != name.npos || !flow::is_provider_name(name))
			top.error(setting, "a provider's name is of a-z, 0-9, _ and -, and does not begin "
							   "with _ or -; labels (google.work) need no block");
		else if (!node.is_table())
			top.error(setting, "it must be a block of its own, headed [providers.NAME]");
		else
			read_block(name, *node.as_table(), std::move(given), top.sources(), settings);
	}
	for (auto &[name, given] : overrides)
		read_preset(*find_preset(name), std::move(given), top.sources(), settings);
	if (settings.providers.empty())
		top.warn("providers", "none is configured; nobody can connect an account");
}

} // namespace sidecar::settings
