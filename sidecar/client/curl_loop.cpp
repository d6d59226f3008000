#include "client/curl_loop.hpp"

#include <csignal>
#include <new>
#include <stdexcept>

namespace sidecar::client
{

namespace
{

// libcurl's own timers shorten it.
constexpr int kPollMilliseconds = 60'000;

void initialize_once()
{
	static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (result != CURLE_OK)
		throw std::runtime_error("libcurl cannot be initialized");
}

} // namespace

CurlLoop::CurlLoop()
{
	initialize_once();
	multi_.reset(curl_multi_init());
	if (!multi_)
		throw std::bad_alloc();
	thread_ = std::thread([this] { run(); });
}

CurlLoop::~CurlLoop()
{
	{
		const std::lock_guard lock(mutex_);
		is_stopping_ = true;
	}
	curl_multi_wakeup(multi_.get());
	thread_.join();
}

void CurlLoop::submit(std::unique_ptr<Transfer> transfer, Done done)
{
	{
		const std::lock_guard lock(mutex_);
		submitted_.push_back({std::move(transfer), std::move(done)});
	}
	curl_multi_wakeup(multi_.get());
}

void CurlLoop::run()
{
	// Signals are for the main thread. SIGPIPE of a peer that hangs up must be blocked, too,
	// because OpenSSL writes without MSG_NOSIGNAL.
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, nullptr);

	int running = 0;
	while (take_submitted()) {
		curl_multi_perform(multi_.get(), &running);
		take_finished();
		curl_multi_poll(multi_.get(), nullptr, 0, kPollMilliseconds, nullptr);
	}
	while (!running_.empty())
		end(running_.begin(), CURLE_ABORTED_BY_CALLBACK);
}

bool CurlLoop::take_submitted()
{
	std::list<Job> fresh;
	bool is_stopping = false;
	{
		const std::lock_guard lock(mutex_);
		fresh.swap(submitted_);
		is_stopping = is_stopping_;
	}
	while (!fresh.empty()) {
		running_.splice(running_.end(), fresh, fresh.begin());
		const auto job = std::prev(running_.end());
		if (curl_multi_add_handle(multi_.get(), job->transfer->handle()) != CURLM_OK)
			end(job, CURLE_OUT_OF_MEMORY);
	}
	return !is_stopping;
}

void CurlLoop::take_finished()
{
	int left = 0;
	while (const CURLMsg *message = curl_multi_info_read(multi_.get(), &left)) {
		const CURL *handle = message->easy_handle;
		const CURLcode code = message->data.result; // gone with the handle
		for (auto job = running_.begin(); job != running_.end(); ++job)
			if (job->transfer->handle() == handle) {
				end(job, code);
				break;
			}
	}
}

void CurlLoop::end(std::list<Job>::iterator job, CURLcode code)
{
	oauth::ProviderAnswer answer = job->transfer->finish(code);
	curl_multi_remove_handle(multi_.get(), job->transfer->handle());
	const Done done = std::move(job->done);
	running_.erase(job);
	done(std::move(answer));
}

} // namespace sidecar::client
