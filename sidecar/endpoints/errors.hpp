// The API's errors (docs/design/flow.md, "API"): one form, with fixed texts.
#pragma once

#include <string>
#include <string_view>

#include "database/token_store.hpp"
#include "http/response.hpp"

namespace sidecar::endpoints
{

enum class Error {
	invalid_request,          // 400
	unauthorized,             // 401
	forbidden,                // 403
	not_found,                // 404
	unknown_provider,         // 404
	not_connected,            // 404
	method_not_allowed,       // 405
	request_timeout,          // 408
	reauthorization_required, // 409
	content_too_large,        // 413
	uri_too_long,             // 414
	headers_too_large,        // 431
	internal_error,           // 500
	not_implemented,          // 501
	provider_error,           // 502
	unavailable,              // 503
	version_not_supported,    // 505
};

// Why a request is not served. What an endpoint throws, the router answers with: JSON of the
// API, or a page that says "not now" (docs/design/flow.md, "API").
struct HttpError {
	Error error;
	std::string detail = {};
	long long retry_in = 2; // seconds, of unavailable and of provider_error
};

// {"error":…,"message":…,"request_id":…}, and `detail` under the name that belongs
// to the error: `parameter` of invalid_request, `reason` of
// reauthorization_required, provider_error and of unavailable. It must be a text of ours,
// a text of the database about its setup or a refresh (without secrets), or a name that
// that shown() lets pass.
http::Response error_response(const HttpError &error, std::string_view request_id);

// The error for an HTTP status with which the server itself refuses a request.
http::Response error_for_status(int status, const std::string &request_id);

// The answer to a caller of the API after an error of the database. Logs errors that are not
// the caller's fault.
HttpError http_error(const database::StoreError &error, std::string_view request_id);

} // namespace sidecar::endpoints
