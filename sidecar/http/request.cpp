#include "http/request.hpp"

#include "secret.hpp"

namespace sidecar::http
{

Request::~Request()
{
	wipe(query);
	wipe(cookie);
	wipe(authorization);
}

} // namespace sidecar::http
