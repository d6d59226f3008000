// After an update of its file, a server runs the library that it had loaded until it is restarted.
// A script that makes objects for a later one must not run meanwhile.

#include <array>
#include <cstdio>

#include "postgres/function.hpp"

extern "C" {
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

using Version = std::array<int, 3>;

Version version_of(const char *text)
{
	Version version{};
	sscanf(text, "%d.%d.%d", &version[0], &version[1], &version[2]);
	return version;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_INNER_FUNCTION(oauth_require_library)
{
	const char *required = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (version_of(OAUTH_TOKENS_VERSION) < version_of(required))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("this server still runs the library of oauth_tokens %s, and %s is to"
							   " be installed",
							   OAUTH_TOKENS_VERSION, required),
						errhint("Restart the server, and try again.")));
	PG_RETURN_VOID();
}
