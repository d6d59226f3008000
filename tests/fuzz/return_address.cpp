// Checks where a browser may be sent, for addresses of arbitrary bytes (libFuzzer; F6).
// What is allowed is visible ASCII, and begins as an allowed origin or one slash does.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "common/ascii.hpp"
#include "common/return_address.hpp"

using namespace common;

namespace
{

constexpr std::string_view kOrigins[] = {"https://app.example", "https://*.t.example:8443",
										 "http://localhost:3000", "http://[::1]"};

void require(bool good)
{
	if (!good)
		std::abort();
}

std::string lower(std::string_view text)
{
	std::string out(text);
	std::ranges::transform(out, out.begin(), to_lower);
	return out;
}

// The origin is the whole of what is before the path, so nothing hides another host.
bool begins_as_allowed(const std::string &url)
{
	for (const std::string_view origin :
		 {"https://app.example", "https://app.example:443", "http://localhost:3000", "http://[::1]",
		  "http://[::1]:80"})
		if (url.starts_with(origin) &&
			(url.size() == origin.size() ||
			 std::string_view("/?#").find(url[origin.size()]) != std::string_view::npos))
			return true;
	const std::size_t host = std::string_view("https://").size();
	const std::size_t end = std::min(url.find_first_of("/?#", host), url.size());
	const std::string_view authority = std::string_view(url).substr(host, end - host);
	return url.starts_with("https://") && authority.ends_with(".t.example:8443") &&
		   std::ranges::count(authority, '.') == 2;
}

void check_return_to(std::string_view address)
{
	if (!return_to_allowed(address, kOrigins))
		return;
	require(address.size() <= kMaxUrlBytes && std::ranges::all_of(address, is_visible));
	if (address.starts_with('/'))
		require(!address.starts_with("//") && !address.starts_with("/\\"));
	else
		require(begins_as_allowed(lower(address)));
}

void check_settings(std::string_view text)
{
	if (is_public_url(text)) {
		require(std::ranges::all_of(text, is_visible) && text.size() <= kMaxUrlBytes);
		require(text.starts_with(origin_of(text)) && is_public_url(origin_of(text)));
		const std::string_view origins[] = {text};
		require(return_to_allowed(text, origins) || !is_origin_pattern(text));
	}
	if (is_origin_pattern(text))
		require(std::ranges::all_of(text, is_visible) && origin_of(text) == text);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *bytes, std::size_t size)
{
	if (size == 0)
		return 0;
	const std::string text(reinterpret_cast<const char *>(bytes + 1), size - 1);
	constexpr std::string_view kBegins[] = {"",         "https://",
											"http://",  "https://app.example",
											"/",        "https://x.t.example:8443",
											"http://[", "http://localhost:3000"};
	const std::string address = std::string(kBegins[bytes[0] % 8]) + text;
	check_return_to(address);
	check_settings(address);
	return 0;
}
