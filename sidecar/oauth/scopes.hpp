// Scopes: lists in which order and repetition have no meaning (RFC 6749 section 3.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oauth/provider.hpp"

namespace sidecar::oauth
{

// What to ask for: the link's scopes or else the configured ones, and always the
// preset's own; each once.
std::vector<std::string> asked_scopes(const Provider &provider,
									  const std::optional<std::string> &of_link);

// Splits at white space and at the provider's separator, and removes duplicates.
std::vector<std::string> split_scopes(std::string_view text, std::string_view separator);
// What was granted. Some providers write another separator than they accept: a part that was
// not asked for is also split at commas, semicolons and plus signs.
std::vector<std::string> granted_scopes(std::string_view text, std::string_view separator,
										const std::vector<std::string> &asked);

std::string join_scopes(const std::vector<std::string> &scopes, std::string_view separator);

} // namespace sidecar::oauth
