#include "database/store_error.hpp"

#include <string_view>

namespace sidecar::database
{

// Where there was no answer, or the server says that it cannot at this moment:
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

} // namespace sidecar::database
