#include <utility>

#include "base/text.hpp"
#include "common/provider_name.hpp"
#include "settings/presets.hpp"
#include "settings/provider_block.hpp"
#include "settings/special_settings.hpp"

namespace sidecar::settings
{

namespace
{

void read_block(const std::string &name, toml::table &table, PresetClient client, Sources &sources,
				Settings &settings)
{
	TableReader block(table, "providers." + name + ".", sources);
	settings.providers.insert_or_assign(name, read_provider(name, block, std::move(client)));
}

// A preset without a block. Half a client is an error, and nothing else is.
void read_preset(const Preset &preset, PresetClient client, Sources &sources, Settings &settings)
{
	toml::table nothing;
	if (!client.id.empty() && !client.secret.empty())
		return read_block(std::string(preset.name), nothing, std::move(client), sources, settings);
	const std::string_view missing =
		client.id.empty() ? preset.client_id_setting : preset.client_secret_setting;
	// A value that was there and wrong has its own error.
	if (client.id.empty() != client.secret.empty() && !sources.diagnostics.has_error(missing))
		sources.diagnostics.error(missing, "it is missing; a client is an id and a secret");
}

} // namespace

void preset_client(Given &given)
{
	for (const Preset &preset : presets()) {
		PresetClient &client = given.settings.preset_clients[std::string(preset.name)];
		if (given.setting == preset.client_id_setting)
			client.id = given.text();
		else if (given.setting == preset.client_secret_setting)
			client.secret = std::move(given.value);
		else if (given.setting == preset.tenant_setting && is_tenant(given.text()))
			client.tenant = lower(given.text());
		else if (given.setting == preset.tenant_setting)
			given.error("it must be common, organizations, consumers, a domain or a GUID");
	}
}

void read_providers(TableReader &top, Settings &settings)
{
	auto clients = std::move(settings.preset_clients);
	toml::node *blocks = top.find("providers");
	toml::table none;
	toml::table &table = blocks != nullptr && blocks->is_table() ? *blocks->as_table() : none;
	if (blocks != nullptr && !blocks->is_table())
		top.error("providers", "each provider is a block, headed [providers.NAME]");
	for (auto &&[key, node] : table) {
		const std::string name(key.str());
		const std::string setting = "providers." + shown_name(name);
		if (name.find('.') != name.npos || !common::is_provider_name(name))
			top.error(setting, "a provider's name is of a-z, 0-9, _ and -, and does not begin "
							   "with _ or -; labels (google.work) need no block");
		else if (!node.is_table())
			top.error(setting, "it must be a block of its own, headed [providers.NAME]");
		else
			read_block(name, *node.as_table(), std::move(clients[name]), top.sources(), settings);
		clients.erase(name);
	}
	for (auto &[name, client] : clients)
		read_preset(*find_preset(name), std::move(client), top.sources(), settings);
	if (settings.providers.empty())
		top.warn("providers", "none is configured; nobody can connect an account");
}

} // namespace sidecar::settings
