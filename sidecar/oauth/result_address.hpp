// The address to which a browser goes when its flow has ended, with the result.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sidecar::oauth
{

// `return_to` (absolute, or a path on the public URL's origin; checked again by
// common::return_to_allowed, and replaced by …/done if it fails) with
// oauth=connected, or oauth=confirm and oauth_flow=…, or oauth=failed and
// oauth_error=…, and always oauth_provider=…, put into its query, before its
// fragment. They replace parameters of these names.
struct Result {
	std::string_view provider; // with its label; the address of …/done has the base name
	std::string_view error;    // empty: connected
	std::string_view flow;     // the one-time code of a flow that needs confirmation
};
std::string result_address(std::string_view public_url, const std::optional<std::string> &return_to,
						   const std::vector<std::string> &allowed_origins, const Result &result);

} // namespace sidecar::oauth
