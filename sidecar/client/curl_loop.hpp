// The thread in which libcurl runs.
#pragma once

#include <curl/curl.h>

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "client/transfer.hpp"

namespace sidecar::client
{

class CurlLoop
{
public:
	// Called in the thread, once for each transfer.
	using Done = std::function<void(oauth::ProviderAnswer answer)>;

	CurlLoop();
	~CurlLoop(); // aborts the calls under way as `broken`, and joins
	CurlLoop(const CurlLoop &) = delete;
	CurlLoop &operator=(const CurlLoop &) = delete;

	void submit(std::unique_ptr<Transfer> transfer, Done done);

private:
	struct Job {
		std::unique_ptr<Transfer> transfer;
		Done done;
	};
	struct Cleanup {
		void operator()(CURLM *multi) const noexcept { curl_multi_cleanup(multi); }
	};

	void run();
	bool take_submitted(); // false: to stop
	void take_finished();
	void end(std::list<Job>::iterator job, CURLcode code);

	std::unique_ptr<CURLM, Cleanup> multi_;
	std::mutex mutex_;
	std::list<Job> submitted_; // guarded by the mutex, like the next
	bool is_stopping_ = false;
	std::list<Job> running_; // the thread's own
	std::thread thread_;
};

} // namespace sidecar::client
