// ProviderClient on libcurl's multi interface, in a thread of its own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "client/provider_client.hpp"

namespace sidecar::client
{

struct CurlLimits {
	std::chrono::milliseconds connect{5000};
	std::chrono::milliseconds total{15000};
	std::size_t answer_bytes = 1024 * 1024;
	int calls = 220; // under way at once; endpoints::CallbackLimiter leaves some for metadata
};

// send() is called, and answers arrive, in the executor's one thread.
class CurlClient : public ProviderClient
{
public:
	// `ca_file`: PEM bundle; empty: the system's.
	CurlClient(boost::asio::any_io_executor executor, std::string ca_file, CurlLimits limits = {});
	// Aborts the calls under way (their callers get `broken`) and joins the thread.
	~CurlClient() override;

	boost::asio::awaitable<oauth::ProviderAnswer> send(oauth::ProviderRequest request) override;

private:
	struct Impl;
	std::shared_ptr<Impl> impl_;
};

} // namespace sidecar::client
