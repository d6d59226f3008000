// GET /oauth/{provider}/done: the page at which a flow without return_to ends.

#include "endpoints/endpoints.hpp"
#include "endpoints/pages.hpp"
#include "http/parameters.hpp"

namespace sidecar::endpoints
{

Awaitable<http::Response> done(Context &context, const http::Request &request,
							   std::string_view provider_name)
{
	if (context.registry.find(provider_name) == nullptr)
		co_return page(Page::unknown);
	const http::Parameters parameters =
		http::Parameters::parse_only(request.query, {{"oauth", "oauth_error"}, {}});
	if (parameters.fault() != http::Parameters::Fault::none)
		co_return page(Page::bad_request);
	if (parameters.get("oauth") == "connected")
		co_return page(Page::connected);
	// A confirmation code came here, but no application can take it.
	if (parameters.get("oauth") == "confirm")
		co_return page(Page::failed);
	if (parameters.get("oauth") != "failed")
		co_return page(Page::bad_request);
	const auto error = parameters.get("oauth_error");
	if (error == "access_denied")
		co_return page(Page::denied);
	co_return page(error == "expired" ? Page::expired : Page::failed);
}

} // namespace sidecar::endpoints
