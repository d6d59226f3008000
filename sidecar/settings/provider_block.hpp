// One [providers.NAME] of the TOML file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "oauth/provider.hpp"
#include "settings/table_reader.hpp"

namespace sidecar::settings
{

// What the environment says about the provider of a preset's own name. It wins
// over the block.
struct ClientOverride {
	std::optional<std::string> client_id;
	std::optional<Secret> client_secret;
	std::optional<std::string> tenant;
};

// Reads and checks the whole block; a table that is empty stands for a provider
// that the environment alone describes.
oauth::Provider read_provider(const std::string &name, TableReader &block, ClientOverride given);

} // namespace sidecar::settings
