#include "endpoints/errors.hpp"

#include <algorithm>
#include <iterator>

#include "base/log.hpp"
#include "endpoints/json_object.hpp"

namespace sidecar::endpoints
{

namespace
{

struct Description {
	Error error;
	int status;
	std::string_view code;
	std::string_view message;
	std::string_view detail_name = {};
};

constexpr Description kErrors[] = {
	{Error::invalid_request, 400, "invalid_request",
	 "The request is malformed: see 'parameter' if there is one.", "parameter"},
	{Error::unauthorized, 401, "unauthorized",
	 "Send 'Authorization: Bearer <token>' with one of the configured API tokens."},
	{Error::forbidden, 403, "forbidden",
	 "This API token may not do that for this workspace and provider."},
	{Error::not_found, 404, "not_found", "There is nothing at this path."},
	{Error::unknown_provider, 404, "unknown_provider", "No provider of this name is configured."},
	{Error::not_connected, 404, "not_connected",
	 "This identity has no token: connect the account first."},
	{Error::method_not_allowed, 405, "method_not_allowed",
	 "This path does not allow this method: see the Allow header."},
	{Error::request_timeout, 408, "request_timeout", "The request did not arrive in time."},
	{Error::reauthorization_required, 409, "reauthorization_required",
	 "The user must connect the account again.", "reason"},
	{Error::content_too_large, 413, "content_too_large",
	 "The body is too large, and no request needs one."},
	{Error::uri_too_long, 414, "uri_too_long", "The address is too long."},
	{Error::headers_too_large, 431, "headers_too_large", "The headers are too long."},
	{Error::internal_error, 500, "internal_error",
	 "Something in the daemon or the database is broken: see the log, under this request_id."},
	{Error::provider_error, 502, "provider_error",
	 "The provider refuses this application, or its answer cannot be used; the log "
	 "has more.",
	 "reason"},
	{Error::not_implemented, 501, "not_implemented", "This method is not known."},
	{Error::unavailable, 503, "unavailable",
	 "The database or the provider cannot be reached, or cannot serve now: try again later.",
	 "reason"},
	{Error::version_not_supported, 505, "version_not_supported", "Use HTTP/1.1."},
};

const Description &description_of(Error error)
{
	return *std::ranges::find(kErrors, error, &Description::error);
}

// What the extension's errors mean (docs/sql.md, "Errors").
struct Meaning {
	std::string_view sqlstate;
	Error error;
	std::string_view parameter;
};

constexpr Meaning kMeanings[] = {
	{"OT008", Error::invalid_request, "actor_id"},  {"OT014", Error::unknown_provider, {}},
	{"OT015", Error::invalid_request, "return_to"}, {"22023", Error::invalid_request, "actor_type"},
	{"22P02", Error::invalid_request, {}},          {"22021", Error::invalid_request, {}},
};

} // namespace

http::Response error_response(const HttpError &error, std::string_view request_id)
{
	const Description &what = description_of(error.error);
	JsonObject body;
	body.add("error", what.code).add("message", what.message);
	if (!error.detail.empty() && !what.detail_name.empty())
		body.add(what.detail_name, std::string_view(error.detail));
	body.add("request_id", request_id);
	http::Response response(what.status, "application/json", std::move(body).finish());
	if (error.error == Error::unauthorized)
		response.with("WWW-Authenticate", "Bearer");
	if (error.error == Error::unavailable || error.error == Error::provider_error)
		response.with("Retry-After", std::to_string(error.retry_in));
	return response;
}

http::Response error_for_status(int status, const std::string &request_id)
{
	const auto *known = std::ranges::find(kErrors, status, &Description::status);
	return error_response({known == std::end(kErrors) ? Error::invalid_request : known->error},
						  request_id);
}

HttpError http_error(const database::StoreError &error, std::string_view request_id)
{
	const auto *known = std::ranges::find(kMeanings, error.sqlstate(), &Meaning::sqlstate);
	if (known != std::end(kMeanings))
		return {known->error, std::string(known->parameter)};
	log::error("the database refused", {{"request_id", request_id},
										{"sqlstate", std::string_view(error.sqlstate())},
										{"reason", std::string_view(error.what())},
										{"detail", std::string_view(error.detail())},
										{"hint", std::string_view(error.hint())}});
	return {error.is_transient() || error.is_setup() ? Error::unavailable : Error::internal_error};
}

} // namespace sidecar::endpoints
