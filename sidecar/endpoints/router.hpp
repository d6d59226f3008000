// Picks the endpoint for a request, and adds what all answers have in common.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "endpoints/context.hpp"
#include "http/request.hpp"
#include "http/response.hpp"

namespace sidecar::endpoints
{

class Router
{
public:
	// `gauges` is called at each request of /metrics.
	Router(Context context, std::function<Metrics::Gauges()> gauges);

	boost::asio::awaitable<http::Response> answer(http::Request request);

private:
	Context context_;
};

// Headers of every answer: not stored, not sniffed, not framed, no referrer
// (docs/design/threats.md, F7, F8).
http::Response hardened(http::Response response);

} // namespace sidecar::endpoints
