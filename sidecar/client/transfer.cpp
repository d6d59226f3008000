#include "client/transfer.hpp"

#include <openssl/crypto.h>

#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>

#include "base/boot_time.hpp"
#include "base/text.hpp"
#include "client/endpoint_host.hpp"
#include "common/ascii.hpp"

#ifndef OAUTH_TOKENS_VERSION
#define OAUTH_TOKENS_VERSION "0"
#endif

namespace sidecar::client
{

namespace
{

using Failure = oauth::ProviderAnswer::Failure;

// Providers send one or two thousand bytes; some proxies add as much.
constexpr std::size_t kHeaderBytes = 64 * 1024;
// The file of ca-certificates. libcurl's default is also a directory, and OpenSSL reads all
// of that for every connection.
constexpr const char *kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

// Addresses may contain secrets in their query and in their user part.
std::string without_query(std::string_view address)
{
	std::string text(address.substr(0, address.find_first_of("?#")));
	const std::size_t user = text.find("//");
	const std::size_t at = text.find('@');
	if (user != text.npos && at != text.npos && at > user)
		text.erase(user + 2, at - user - 1);
	return text;
}

bool is_one_line(std::string_view text)
{
	constexpr std::string_view kBreaks("\r\n\0", 3);
	return text.find_first_of(kBreaks) == text.npos;
}

// Without parameters, lower case.
std::string media_type(std::string_view header)
{
	return lower(common::trim(header.substr(0, header.find(';'))));
}

} // namespace

void Transfer::WipeAndFree::operator()(curl_slist *list) const noexcept
{
	for (const curl_slist *item = list; item != nullptr; item = item->next)
		OPENSSL_cleanse(item->data, std::strlen(item->data));
	curl_slist_free_all(list);
}

Transfer::Transfer(oauth::ProviderRequest request, const std::string &ca_file,
				   const CurlLimits &limits)
	: request_(std::move(request)), body_limit_(limits.answer_bytes), handle_(curl_easy_init())
{
	if (!handle_)
		throw std::bad_alloc();
	set_request();
	set_headers();
	set_bounds(limits);
	set_tls(ca_file);
}

void Transfer::set_request()
{
	CURL *curl = handle();
	const bool is_near = is_loopback(request_.url);
	curl_easy_setopt(curl, CURLOPT_URL, request_.url.c_str());
	// Settings refuse http except to this host; so does this.
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, is_near ? "http,https" : "https");
	if (is_near)
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NETRC, CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "oauth-sidecar/" OAUTH_TOKENS_VERSION);
	if (!request_.body.empty()) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
						 static_cast<curl_off_t>(request_.body.size()));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request_.body.c_str()); // not copied
	}
	// If a kept connection turns out to be dead, libcurl sends the request again by itself. A
	// code or refresh token must not be sent twice.
	if (request_.kind == oauth::ProviderRequest::Kind::token) {
		curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	}
}

void Transfer::add_header(const char *line)
{
	curl_slist *longer = curl_slist_append(headers_.get(), line);
	if (longer == nullptr)
		throw std::bad_alloc();
	(void)headers_.release(); // the same list, or its first item
	headers_.reset(longer);
}

void Transfer::set_headers()
{
	for (const auto &[name, value] : request_.headers) {
		if (!is_one_line(name) || !is_one_line(value.reveal()))
			throw std::invalid_argument("a header has more than one line");
		common::Secret line(name + ": ");
		line.append(value.reveal());
		add_header(line.c_str());
	}
	add_header("Expect:"); // do not wait for 100 Continue
	// We ask for plain answers, but some providers compress all the same. An answer with a
	// rotated token must be read, and libcurl only decodes if ACCEPT_ENCODING is set.
	add_header("Accept-Encoding: identity");
	curl_easy_setopt(handle(), CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(handle(), CURLOPT_HTTPHEADER, headers_.get());
}

void Transfer::set_bounds(const CurlLimits &limits)
{
	CURL *curl = handle();
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect.count()));
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(limits.total.count()));
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	// If a look-up times out, nobody waits for its thread: that would delay all other calls.
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(body_limit_));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, about_to_send);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, this);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, this);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_);
}

void Transfer::set_tls(const std::string &ca_file)
{
	CURL *curl = handle();
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
	curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
	curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file.empty() ? kSystemAuthorities : ca_file.c_str());
}

// libcurl calls it when the connection is made, including TLS, and before the first byte of
// the request. Afterwards the request counts as sent, even if the kernel still has its bytes.
int Transfer::about_to_send(void *self, char *, char *, int, int)
{
	auto &transfer = *static_cast<Transfer *>(self);
	const auto &send_until = transfer.request_.send_until;
	transfer.is_too_late_ = send_until && boot_time() > *send_until;
	if (transfer.is_too_late_)
		return CURL_PREREQFUNC_ABORT;
	transfer.answer_.was_sent = true;
	return CURL_PREREQFUNC_OK;
}

std::size_t Transfer::take_body(char *data, std::size_t, std::size_t size, void *self)
{
	auto &transfer = *static_cast<Transfer *>(self);
	transfer.is_too_large_ = size > transfer.body_limit_ - transfer.answer_.body.size();
	if (transfer.is_too_large_)
		return 0;
	transfer.answer_.body.append({data, size});
	return size;
}

std::size_t Transfer::take_header(char *, std::size_t, std::size_t size, void *self)
{
	auto &transfer = *static_cast<Transfer *>(self);
	transfer.header_bytes_ += size;
	transfer.is_too_large_ = transfer.header_bytes_ > kHeaderBytes;
	return transfer.is_too_large_ ? 0 : size;
}

// If the request cannot have left yet, a time-out is a failure to resolve or to connect: a
// caller that must not send twice can send again.
Failure Transfer::failure_of(CURLcode code) const
{
	if (is_too_late_)
		return Failure::too_late;
	curl_off_t looked_up = 0;
	curl_easy_getinfo(handle(), CURLINFO_NAMELOOKUP_TIME_T, &looked_up);
	switch (code) {
	case CURLE_OK:
		return Failure::none;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return Failure::resolve;
	case CURLE_COULDNT_CONNECT:
		return Failure::connect;
	case CURLE_OPERATION_TIMEDOUT:
		if (answer_.was_sent)
			return Failure::timeout;
		return looked_up > 0 ? Failure::connect : Failure::resolve;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return Failure::tls;
	case CURLE_FILESIZE_EXCEEDED:
		return Failure::too_large;
	default:
		return is_too_large_ ? Failure::too_large : Failure::broken;
	}
}

oauth::ProviderAnswer Transfer::finish(CURLcode code)
{
	answer_.failure = failure_of(code);
	long status = 0;
	curl_easy_getinfo(handle(), CURLINFO_RESPONSE_CODE, &status);
	if (answer_.failure == Failure::none || answer_.failure == Failure::too_large)
		answer_.status = static_cast<int>(status);
	if (answer_.failure != Failure::none) {
		answer_.body.wipe();
		if (!is_too_late_ && !is_too_large_)
			answer_.detail = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
		return std::move(answer_);
	}
	// The last one counts, as with every header that must not come twice.
	curl_header *header = nullptr;
	if (curl_easy_header(handle(), "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
		answer_.retry_after = header->value;
	if (curl_easy_header(handle(), "Content-Type", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
		answer_.content_type = media_type(header->value);
	if (status >= 300 && status <= 399 &&
		curl_easy_header(handle(), "Location", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
		answer_.detail = "Location: " + without_query(header->value);
	if (status == 401 &&
		curl_easy_header(handle(), "WWW-Authenticate", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
		answer_.detail = std::string("WWW-Authenticate: ") + header->value;
	return std::move(answer_);
}

} // namespace sidecar::client
