// The addresses of Postgres and Redis. They hold passwords, so a fault never
// repeats a part of them.
#pragma once

#include <string_view>

#include "secret.hpp"
#include "settings/faults.hpp"

namespace sidecar::settings
{

// As libpq takes it: postgres:// and the forms of SQLAlchemy, postgresql+asyncpg://
// and its like, become postgresql://; "key=value …" stays. Whether libpq agrees is
// seen when it connects.
Secret database_url(Secret given, Findings &findings);

// A fault where redis/endpoint.hpp cannot take it apart.
void check_redis_url(const Secret &url, Findings &findings);

} // namespace sidecar::settings
