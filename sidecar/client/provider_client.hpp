// Sends requests to providers.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "oauth/provider_call.hpp"

namespace sidecar::client
{

class ProviderClient
{
public:
	virtual ~ProviderClient() = default;
	// Never throws: what went wrong is ProviderAnswer::failure. The number of calls
	// under way is bounded; one more is `busy`.
	virtual boost::asio::awaitable<oauth::ProviderAnswer> send(oauth::ProviderRequest request) = 0;
};

} // namespace sidecar::client
