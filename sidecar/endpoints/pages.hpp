// The pages that a person sees: no script, no outside resource, nothing echoed.
#pragma once

#include <string>
#include <string_view>

#include "http/response.hpp"

namespace sidecar::endpoints
{

enum class Page {
	connected,   // 200
	failed,      // 200: a flow has ended, and the address says how
	denied,      // 200
	expired,     // 200
	bad_request, // 400: no valid attempt
	finished,    // 400: none any more, for this browser has finished it
	under_way,   // 400: the same, and it is finishing it in another request
	unknown,     // 404
	link_gone,   // 410
	unavailable, // 503
};

http::Response page(Page which);

// The value of Content-Security-Policy for every answer: it allows the pages' one
// style sheet, by its digest, and nothing else.
const std::string &content_security_policy();

} // namespace sidecar::endpoints
