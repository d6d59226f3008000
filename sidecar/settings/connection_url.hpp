// The address of Redis. It holds a password, so an error never repeats a part of it.
#pragma once

#include <string_view>

#include "common/secret_string.hpp"
#include "settings/diagnostics.hpp"

namespace sidecar::settings
{

// An error where redis/endpoint.hpp cannot take it apart.
void check_redis_url(const Secret &url, Diagnostics &diagnostics);

} // namespace sidecar::settings
