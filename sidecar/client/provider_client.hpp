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
	// Whether one more call may start now; the number of calls under way is bounded.
	virtual bool has_room() const noexcept = 0;
	// Never throws: what went wrong is ProviderAnswer::failure.
	virtual boost::asio::awaitable<oauth::ProviderAnswer> send(oauth::ProviderRequest request) = 0;
};

} // namespace sidecar::client
