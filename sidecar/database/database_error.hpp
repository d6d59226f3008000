#pragma once

#include <stdexcept>
#include <string>

namespace sidecar::database
{

// The database did not do it. `sqlstate` is empty if there was no answer
// (no connection, time-out); what() is a fixed text or the server's primary
// message, which holds no secret.
class StoreError : public std::runtime_error
{
public:
	StoreError(std::string state, const std::string &message, std::string detail = {},
			   std::string hint = {})
		: std::runtime_error(message), sqlstate_(std::move(state)), detail_(std::move(detail)),
		  hint_(std::move(hint))
	{
	}
	const std::string &sqlstate() const noexcept { return sqlstate_; }
	// What the server says beside its message, if that is about how the database is
	// set up: of other errors it may hold values, and is empty.
	const std::string &detail() const noexcept { return detail_; }
	const std::string &hint() const noexcept { return hint_; }
	// All of it, for the operator.
	std::string text() const;
	// Whether trying again later may help: no answer, or classes 08, 53, 57, 58, 40, 25006.
	bool is_transient() const noexcept;
	// Whether the transaction did not get along with another one's, and may be tried at once.
	bool was_rolled_back() const noexcept;
	// Whether the operator has to set something right in the database, and requests will
	// succeed then: extension, tables, rights or key are not there, or other than needed.
	bool is_setup() const noexcept;

private:
	std::string sqlstate_;
	std::string detail_;
	std::string hint_;
};

} // namespace sidecar::database
