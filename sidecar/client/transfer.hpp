// One request and its answer, as an easy handle of libcurl.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "client/curl_client.hpp"

namespace sidecar::client
{

// Body and headers of the request are wiped when it dies, and the answer is collected in a
// Secret. We cannot wipe the buffers of libcurl and OpenSSL.
class Transfer
{
public:
	// Throws std::bad_alloc, and std::invalid_argument if a header has a line break.
	Transfer(oauth::ProviderRequest request, const std::string &ca_file, const CurlLimits &limits);
	Transfer(const Transfer &) = delete;
	Transfer &operator=(const Transfer &) = delete;

	CURL *handle() const noexcept { return handle_.get(); }

	// libcurl's result as an answer.
	oauth::ProviderAnswer finish(CURLcode code);

private:
	struct WipeAndFree {
		void operator()(curl_slist *list) const noexcept;
	};
	struct Cleanup {
		void operator()(CURL *handle) const noexcept { curl_easy_cleanup(handle); }
	};

	static int about_to_send(void *self, char *, char *, int, int);
	static std::size_t take_body(char *data, std::size_t one, std::size_t size, void *self);
	static std::size_t take_header(char *data, std::size_t one, std::size_t size, void *self);

	void set_request();
	void set_headers();
	void set_bounds(const CurlLimits &limits);
	void set_tls(const std::string &ca_file);
	void add_header(const char *line);
	oauth::ProviderAnswer::Failure failure_of(CURLcode code) const;

	const oauth::ProviderRequest request_;
	const std::size_t body_limit_;
	oauth::ProviderAnswer answer_;
	std::size_t header_bytes_ = 0;
	bool is_too_large_ = false;
	bool is_too_late_ = false;
	char error_[CURL_ERROR_SIZE] = {};
	std::unique_ptr<curl_slist, WipeAndFree> headers_;
	std::unique_ptr<CURL, Cleanup> handle_; // destroyed before the members that it points to
};

} // namespace sidecar::client
