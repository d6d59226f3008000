// The pages that a user sees: without script or outside resource, and echoing nothing.
#pragma once

#include <string>
#include <string_view>

#include "http/response.hpp"

namespace sidecar::endpoints
{

enum class Page {
	connected,   // 200
	failed,      // 200: the flow has failed; the address says how
	denied,      // 200
	expired,     // 200
	bad_request, // 400: no valid attempt
	finished,    // 400: this browser has already finished its attempt
	under_way,   // 400: another request of this browser is finishing it
	unknown,     // 404
	link_gone,   // 410
	unavailable, // 503
};

http::Response page(Page which);

// The value of Content-Security-Policy for every answer: it allows only the
// pages' style sheet, by its digest.
const std::string &content_security_policy();

} // namespace sidecar::endpoints
