#pragma once

#include <stdexcept>
#include <string>

namespace sidecar::database
{

// The database did not do it. `sqlstate` is empty where there was no answer
// (no connection, time-out); what() is a fixed text or the server's primary
// message, which holds no secret.
class StoreError : public std::runtime_error
{
public:
	StoreError(std::string state, const std::string &message)
		: std::runtime_error(message), sqlstate_(std::move(state))
	{
	}
	const std::string &sqlstate() const noexcept { return sqlstate_; }
	// Whether trying again later may help: no answer, or classes 08, 53, 57, 58, 40, 25006.
	bool is_transient() const noexcept;

private:
	std::string sqlstate_;
};

} // namespace sidecar::database
