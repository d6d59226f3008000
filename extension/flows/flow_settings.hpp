// What oauth_authorize_url() goes by: the settings oauth_tokens.public_url and
// oauth_tokens.confirm_flows, and what the sidecar has published.
#pragma once

#include <span>
#include <string_view>

#include "postgres/compat.hpp"

extern "C" {
#include "utils/guc.h"
}

namespace oauth_tokens
{

inline constexpr int kDefaultFlowSeconds = 600;
inline constexpr int kMaxFlowSeconds = SECS_PER_DAY;

struct FlowSettings {
	std::string_view public_url; // empty: there is none
	int flow_seconds;
	bool published; // if nothing is, any provider will do
	std::span<const std::string_view> return_to_origins;
	std::span<const std::string_view> providers;
};

// The check hook of oauth_tokens.public_url. Takes a final slash away.
bool check_public_url(char **newval, void **, GucSource);

// Within an SPI connection, and good until its end.
FlowSettings read_flow_settings();

} // namespace oauth_tokens
