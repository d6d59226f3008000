#include "database/database_error.hpp"

#include <string_view>

namespace sidecar::database
{

// If there was no answer, or the server says that it cannot at this moment:
// connection, transaction rolled back, resources, operator, system, a lock
// that did not come; and a standby, which may be the primary soon.
bool StoreError::is_transient() const noexcept
{
	if (sqlstate_.empty() || sqlstate_ == "25006" || sqlstate_ == "55P03")
		return true;
	const std::string_view category = std::string_view(sqlstate_).substr(0, 2);
	for (const std::string_view passing : {"08", "40", "53", "57", "58"})
		if (category == passing)
			return true;
	return false;
}

bool StoreError::was_rolled_back() const noexcept
{
	return sqlstate_ == "40001" || sqlstate_ == "40P01";
}

bool StoreError::is_setup() const noexcept
{
	// No key, a malformed one; no table, another table; no public URL; no right; no
	// extension, function, schema or relation.
	for (const std::string_view state :
		 {"OT001", "OT002", "OT004", "OT005", "OT013", "42501", "42704", "42883", "3F000", "42P01"})
		if (sqlstate_ == state)
			return true;
	return false;
}

std::string StoreError::text() const
{
	std::string text = what();
	if (!sqlstate_.empty())
		text += " (SQLSTATE " + sqlstate_ + ')';
	for (const std::string &more : {detail_, hint_})
		if (!more.empty())
			text += (text.ends_with('.') ? " " : ". ") + more;
	return text;
}

} // namespace sidecar::database
