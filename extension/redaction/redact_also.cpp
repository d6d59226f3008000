#include "redaction/redact_also.hpp"

#include "common/ascii.hpp"

#include <cstring>

extern "C" {
#include "nodes/pg_list.h"
#include "utils/varlena.h"
}

namespace oauth_tokens
{

namespace
{

const char *names = "";

} // namespace

const char *redact_also_names()
{
	return names;
}

bool check_redact_also(char **value, void **extra, GucSource)
{
	List *list = NIL;
	char *copy = pstrdup(*value);
	if (!SplitIdentifierString(copy, ',', &list)) {
		GUC_check_errdetail("The value must be a list of names of functions.");
		return false;
	}
	char *out = static_cast<char *>(compat::guc_allocate(std::strlen(*value) + 2));
	if (out == nullptr)
		return false;
	*extra = out;
	ListCell *cell;
	foreach (cell, list) {
		const char *name = static_cast<const char *>(lfirst(cell));
		const char *dot = std::strrchr(name, '.');
		for (name = dot == nullptr ? name : dot + 1; *name != '\0'; name++)
			if (*name != '"')
				*out++ = common::to_lower(*name);
		*out++ = '\n';
	}
	*out = '\0';
	return true;
}

void redact_also_assigned(const char *, void *extra)
{
	names = static_cast<const char *>(extra);
}

} // namespace oauth_tokens
