// The extension's own row of pg_extension.
#pragma once

#include "postgres/compat.hpp"

namespace oauth_tokens
{

struct ExtensionRow {
	Oid owner;
	Oid schema;
};

// Raises if there is none: it is being dropped.
ExtensionRow find_extension();

} // namespace oauth_tokens
