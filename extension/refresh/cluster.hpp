// Which database may refresh and revoke. A copy of a database has its refresh tokens,
// too, and spends them: the provider then ends the grants of the original (docs/design/threats.md,
// T14). So the first one to have the tables is recorded, and a copy finds that it is another.
#pragma once

#include "postgres/compat.hpp"

namespace oauth_tokens
{

// Raises OT017 if this database is not the recorded one. Within an SPI connection.
void check_cluster();

// Records this database if none is recorded. The same.
void record_cluster();

} // namespace oauth_tokens
