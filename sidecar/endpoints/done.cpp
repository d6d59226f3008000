// GET /oauth/{provider}/done: the page at which a flow without return_to ends.

#include "endpoints/endpoints.hpp"
#include "endpoints/pages.hpp"
#include "http/parameters.hpp"

namespace sidecar::endpoints
{

http::Response done(const http::Request &request)
{
	const http::Parameters parameters =
		http::Parameters::parse_only(request.query, {{"oauth", "oauth_error"}, {}});
	if (parameters.fault() != http::Parameters::Fault::none)
		return page(Page::bad_request);
	if (parameters.get("oauth") == "connected")
		return page(Page::connected);
	// A confirmation code came here, but no application can take it.
	if (parameters.get("oauth") == "confirm")
		return page(Page::failed);
	if (parameters.get("oauth") != "failed")
		return page(Page::bad_request);
	const auto error = parameters.get("oauth_error");
	if (error == "access_denied")
		return page(Page::denied);
	return page(error == "expired" ? Page::expired : Page::failed);
}

} // namespace sidecar::endpoints
