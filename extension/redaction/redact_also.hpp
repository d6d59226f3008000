// oauth_tokens.redact_also: the names of functions whose statements are sensitive, too.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "utils/guc.h"
}

namespace oauth_tokens
{

// Without schemas, in lower case, each followed by a newline.
const char *redact_also_names();

bool check_redact_also(char **value, void **extra, GucSource source);
void redact_also_assigned(const char *value, void *extra);

} // namespace oauth_tokens
