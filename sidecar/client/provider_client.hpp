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
	// Never throws: an error is in ProviderAnswer::failure. The number of calls under way is
	// bounded; one more gets `busy`.
	virtual boost::asio::awaitable<oauth::ProviderAnswer> send(oauth::ProviderRequest request) = 0;
};

} // namespace sidecar::client
