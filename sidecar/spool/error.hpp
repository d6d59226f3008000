// Why the spool does not work, for a person.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace sidecar::spool
{

// What happened, to which path, and what to do: "the spool directory
// /var/lib/oauth-sidecar is on a file system that is full: free space on it". Never a
// secret.
class Error : public std::runtime_error
{
public:
	using std::runtime_error::runtime_error;
};

// The error `number` (errno) of a call for `path`, which is the directory or a file in it.
Error error_of(int number, std::string_view path);

} // namespace sidecar::spool
