// Logs refusals of the database in the background: each SQLSTATE once in a row.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/log.hpp"
#include "database/database_error.hpp"

namespace sidecar::database
{

class RefusalLog
{
public:
	// If no answer came, the pool has logged it.
	void add(const StoreError &error, std::string_view message,
			 log::Level level = log::Level::error)
	{
		if (!error.sqlstate().empty() && error.sqlstate() != last_)
			log::write(level, message,
					   {{"sqlstate", error.sqlstate()},
						{"reason", error.what()},
						{"detail", error.detail()},
						{"hint", error.hint()}});
		last_ = error.sqlstate();
	}
	// All is well. Whether a refusal came before.
	bool clear() { return !std::exchange(last_, {}).empty(); }

private:
	std::string last_;
};

} // namespace sidecar::database
