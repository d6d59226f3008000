// GET /oauth/{provider}/authorize?ticket=…: opens an attempt for this browser
// and sends it to the provider. The link stays valid until tokens are stored:
// mail scanners and chat previews open links before people do (docs/design/threats.md, F16).

#include "endpoints/endpoints.hpp"
#include "endpoints/pages.hpp"
#include "http/cookies.hpp"
#include "http/parameters.hpp"
#include "oauth/authorization_request.hpp"

namespace sidecar::endpoints
{

namespace
{

// 43 characters of base64url, as oauth_authorize_url() makes them.
bool is_ticket(std::string_view text)
{
	return text.size() == http::kSecretChars && common::base64url_decode(text).has_value();
}

http::Response send_to_provider(const Context &context, const http::Request &request,
								const oauth::Provider &provider,
								const oauth::ProviderEndpoints &endpoints,
								const oauth::OpenedAttempt &attempt)
{
	const std::string &public_url = context.settings.public_url;
	http::Response response(303, "", "");
	response.with("Location", oauth::authorization_address(
								  provider, endpoints,
								  oauth::redirect_uri(public_url, provider.name), attempt));
	const http::FlowCookies cookies = read_cookies(context, request);
	for (std::string &cookie : cookies.set(attempt.state.reveal(), attempt.browser_secret,
										   attempt.expires_in, context.now()))
		response.with("Set-Cookie", std::move(cookie));
	return response;
}

} // namespace

Awaitable<http::Response> authorize(Context &context, const http::Request &request,
									std::string_view provider_name)
{
	const oauth::Provider *provider = context.registry.find(provider_name);
	if (provider == nullptr)
		co_return page(Page::unknown);
	if (request.method == "HEAD")
		co_return http::Response(200, "text/html; charset=utf-8", "");
	// Browsers discard a prefetched answer that is an error.
	if (request.is_prefetch)
		co_return page(Page::unavailable);
	const http::Parameters parameters =
		http::Parameters::parse_only(request.query, {{"ticket"}, {}});
	const auto ticket = parameters.get("ticket");
	if (parameters.fault() != http::Parameters::Fault::none || !ticket || !is_ticket(*ticket))
		co_return page(Page::bad_request);

	const common::Digest ticket_hash = common::sha256(*ticket);
	const std::optional<oauth::ProviderEndpoints> endpoints =
		co_await context.registry.endpoints(*provider);
	if (!endpoints)
		co_return page(Page::unavailable);
	const std::optional<oauth::OpenedAttempt> attempt = co_await context.browser_store.open_attempt(
		ticket_hash, provider->name, *endpoints, provider->client_id);
	if (!attempt)
		co_return page(Page::link_gone);
	co_return send_to_provider(context, request, *provider, *endpoints, *attempt);
}

} // namespace sidecar::endpoints
