#include "common/scope_list.hpp"

namespace common
{

bool are_scopes(std::string_view text) noexcept
{
	bool in_name = false;
	for (const char c : text) {
		if (c == ' ' && !in_name)
			return false;
		if (c != ' ' && (c < '!' || c > '~' || c == '"' || c == '\\'))
			return false;
		in_name = c != ' ';
	}
	return in_name;
}

} // namespace common
