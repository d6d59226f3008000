// The contents of oauth_token_details, as the API shows them.
#pragma once

#include <optional>
#include <string>

#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

// Adds "account" ({"id","label"} or null) and "extra" (object or null) from the
// column `details` of oauth_connections.
void add_details(JsonObject &object, const std::string &details);

// The column's connected_at as text, if it has one.
std::optional<std::string> connected_at(const std::string &details);

} // namespace sidecar::endpoints
