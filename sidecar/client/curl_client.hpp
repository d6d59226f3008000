// ProviderClient on libcurl's multi interface, in a thread of its own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "client/provider_client.hpp"

namespace sidecar::client
{

class CurlLoop;

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
	struct Call;

	std::shared_ptr<Call> start(oauth::ProviderRequest request);

	// All but the loop belongs to the executor's thread.
	const boost::asio::any_io_executor executor_;
	const std::string ca_file_;
	const CurlLimits limits_;
	const std::shared_ptr<int> calls_ = std::make_shared<int>(0); // answers may come after us
	const std::unique_ptr<CurlLoop> loop_;
};

} // namespace sidecar::client
