#include "client/endpoint_host.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>

#include <memory>

#include "base/text.hpp"

namespace sidecar::client
{

namespace
{

std::string part_of(const std::string &url, CURLUPart part, unsigned flags = 0)
{
	const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
	char *text = nullptr;
	if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
		curl_url_get(parsed.get(), part, &text, flags) != CURLUE_OK)
		return {};
	std::string result = lower(text);
	curl_free(text);
	return result;
}

} // namespace

std::string host_of(const std::string &url)
{
	const std::string host = part_of(url, CURLUPART_HOST);
	return host.empty() ? host : host + ":" + part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

bool is_loopback(const std::string &url)
{
	const std::string host = part_of(url, CURLUPART_HOST);
	in_addr address{};
	return host == "localhost" || host == "[::1]" ||
		   (inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

} // namespace sidecar::client
