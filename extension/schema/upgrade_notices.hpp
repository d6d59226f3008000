// What oauth_tokens_upgrade() and oauth_tokens_downgrade() say at their end, within
// an SPI connection and safe settings.
#pragma once

#include "postgres/compat.hpp"

namespace oauth_tokens
{

// A NOTICE for each role that has a capability and lacks a privilege on a table of
// it, as after the table was dropped and made anew.
void tell_missing_grants();

enum class Migrated { made, adopted, dropped };

// A NOTICE on what Alembic must know, if a table alembic_version is there.
void tell_alembic(Migrated migrated, const char *before, const char *head);

} // namespace oauth_tokens
