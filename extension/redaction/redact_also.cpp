#include "redaction/redact_also.hpp"

#include "redaction/statement_text.hpp"

#include "common/ascii.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

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

// Not by SplitIdentifierString(), which cuts a name with its schema at 63 bytes. A name that
// could never be found is refused, since nobody would notice.
bool check_redact_also(char **value, void **extra, GucSource)
{
	char *out = static_cast<char *>(compat::guc_allocate(std::strlen(*value) + 2));
	if (out == nullptr)
		return false;
	*extra = out;
	std::string_view rest = common::trim(*value);
	while (!rest.empty()) {
		const std::string_view item = common::trim(rest.substr(0, rest.find(',')));
		rest.remove_prefix(std::min(rest.find(','), rest.size() - 1) + 1);
		std::string_view name = item.substr(item.rfind('.') + 1); // npos + 1 is 0
		if (name.size() > 1 && name.front() == '"' && name.back() == '"')
			name = name.substr(1, name.size() - 2);
		if (!is_name(name)) {
			GUC_check_errdetail("\"%.*s\" is no name of letters, digits and underscores.",
								static_cast<int>(item.size()), item.data());
			compat::guc_release(*extra);
			*extra = nullptr;
			return false;
		}
		out = std::ranges::transform(name, out, common::to_lower).out;
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
