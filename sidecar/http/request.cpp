#include "http/request.hpp"

#include "common/secret_string.hpp"

namespace sidecar::http
{

Request::~Request()
{
	wipe(query);
	wipe(cookie);
	wipe(authorization);
}

} // namespace sidecar::http
