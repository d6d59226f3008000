// What oauth_authorize_url() goes by: the settings oauth_tokens.public_url and
// oauth_tokens.confirm_flows, and what the sidecar has published.
#pragma once

#include <span>
#include <string_view>

#include "postgres/compat.hpp"

namespace oauth_tokens
{

inline constexpr int kDefaultFlowSeconds = 600;
inline constexpr int kMaxFlowSeconds = SECS_PER_DAY;

struct FlowSettings {
	std::string_view public_url; // empty: there is none
	int flow_seconds;
	bool published; // where nothing is, any provider will do
	std::span<const std::string_view> return_to_origins;
	std::span<const std::string_view> providers;
};

// Defines the settings. Comes before key_shared_memory_init(), which closes the prefix.
void flow_settings_init();

// Within an SPI connection, and good until its end.
FlowSettings read_flow_settings();

bool confirm_flows_by_default();

} // namespace oauth_tokens
