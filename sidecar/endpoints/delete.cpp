// DELETE /oauth/{provider}/token: deletes the token, and has its grant revoked at the provider
// in the background (docs/design/refresh.md, "Revocation"). The answer does not wait for that.

#include "endpoints/api_request.hpp"
#include "endpoints/endpoints.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

namespace
{

// What the request wants, or else the provider's setting.
oauth::Revoke read_revoke(const ApiRequest &call)
{
	const auto text = call.parameters.get("revoke");
	if (!text)
		return call.provider.revoke;
	for (const oauth::Revoke revoke :
		 {oauth::Revoke::automatic, oauth::Revoke::always, oauth::Revoke::never})
		if (*text == oauth::name_of(revoke))
			return revoke;
	throw HttpError{Error::invalid_request, "revoke"};
}

// If that is not known yet, it is queued. The revoker will know.
bool can_revoke(const Context &context, const oauth::Provider &provider)
{
	const auto endpoints = context.registry.known_endpoints(provider);
	return !endpoints || !endpoints->revocation.empty();
}

} // namespace

Awaitable<http::Response> delete_token(Context &context, const http::Request &request,
									   std::string_view provider_name)
{
	const ApiRequest call =
		read_api_request(context, request, provider_name, settings::ApiToken::delete_, {"revoke"});
	const oauth::Revoke wanted = read_revoke(call);
	const bool is_supported = can_revoke(context, call.provider);
	database::DeletedToken deleted;
	std::optional<HttpError> failure;
	try {
		deleted = co_await context.api_store.delete_token(
			call.identity, is_supported ? wanted : oauth::Revoke::never);
	} catch (const database::StoreError &error) {
		failure = http_error(error, request.id);
	}
	// Also if the database did not answer: it may have been deleted.
	co_await context.cache.evict(call.identity);
	if (failure)
		throw *failure;
	if (deleted.is_queued)
		context.revoke_soon();
	const bool is_unsupported =
		!is_supported && deleted.was_there && wanted != oauth::Revoke::never;
	JsonObject body;
	body.add("deleted", deleted.was_there)
		.add("revocation", deleted.is_queued ? "queued"
						   : is_unsupported  ? "unsupported"
											 : "skipped");
	co_return http::Response(200, "application/json", std::move(body).finish());
}

} // namespace sidecar::endpoints
