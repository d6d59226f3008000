#include "common/return_address.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <arpa/inet.h>

namespace common
{

namespace
{

constexpr std::size_t kMaxHostBytes = 253; // RFC 1035, without the final dot
constexpr std::size_t kMaxLabelBytes = 63;
constexpr unsigned kMaxPort = 65535;

struct Origin {
	bool https;
	bool wildcard;         // the host comes after "*."
	std::string_view host; // as written; an IPv6 address in brackets
	unsigned port;
	std::size_t size; // its length in the URL
};

bool is_digit(char c) noexcept
{
	return c >= '0' && c <= '9';
}

char lower(char c) noexcept
{
	return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_letter(char c) noexcept
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

bool is_hex(char c) noexcept
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

bool equal_names(std::string_view a, std::string_view b) noexcept
{
	return std::ranges::equal(a, b, {}, lower, lower);
}

bool is_label(std::string_view label) noexcept
{
	return !label.empty() && label.size() <= kMaxLabelBytes && label.front() != '-' &&
		   label.back() != '-' && std::ranges::all_of(label, [](char c) {
			   return is_letter(c) || is_digit(c) || c == '-';
		   });
}

bool is_address(int family, std::string_view text) noexcept
{
	std::array<char, INET6_ADDRSTRLEN> terminated{};
	std::array<unsigned char, sizeof(in6_addr)> address;
	if (text.size() >= terminated.size() || text.find('\0') != text.npos)
		return false;
	std::ranges::copy(text, terminated.begin());
	return inet_pton(family, terminated.data(), address.data()) == 1;
}

std::size_t count_labels(std::string_view name) noexcept
{
	return static_cast<std::size_t>(std::ranges::count(name, '.')) + 1;
}

// A name whose last label begins with a digit is an IPv4 address to browsers,
// in forms ("127.1", "0x7f.1") of which only the usual one is accepted here.
bool is_ipv4_to_browsers(std::string_view name) noexcept
{
	const std::size_t dot = name.rfind('.');
	const std::string_view last = dot == std::string_view::npos ? name : name.substr(dot + 1);
	return !last.empty() && is_digit(last.front());
}

bool is_name(std::string_view name) noexcept
{
	if (name.size() > kMaxHostBytes || is_ipv4_to_browsers(name))
		return false;
	for (std::size_t at = 0;;) {
		const std::size_t dot = name.find('.', at);
		if (!is_label(name.substr(at, dot - at)))
			return false;
		if (dot == std::string_view::npos)
			return true;
		at = dot + 1;
	}
}

bool is_host(std::string_view host) noexcept
{
	if (host.size() > 2 && host.front() == '[' && host.back() == ']')
		return is_address(AF_INET6, host.substr(1, host.size() - 2));
	return is_name(host) || is_address(AF_INET, host);
}

bool is_loopback(std::string_view host) noexcept
{
	return equal_names(host, "localhost") || host == "[::1]" ||
		   (host.starts_with("127.") && is_address(AF_INET, host));
}

std::optional<unsigned> parse_port(std::string_view digits) noexcept
{
	if (digits.empty() || digits.size() > 5 || digits.front() == '0' ||
		!std::ranges::all_of(digits, is_digit))
		return std::nullopt;
	unsigned port = 0;
	for (const char digit : digits)
		port = port * 10 + static_cast<unsigned>(digit - '0');
	return port <= kMaxPort ? std::optional(port) : std::nullopt;
}

// The origin that a URL begins with; nothing if it has a user, or a host or port in
// another than the plain form.
std::optional<Origin> parse_origin(std::string_view url) noexcept
{
	Origin origin = {};
	origin.https = url.starts_with("https://");
	if (!origin.https && !url.starts_with("http://"))
		return std::nullopt;
	const std::size_t begin = origin.https ? 8 : 7;
	origin.size = std::min(url.find_first_of("/?#", begin), url.size());
	std::string_view authority = url.substr(begin, origin.size - begin);

	origin.port = origin.https ? 443 : 80;
	const std::size_t colon = authority.rfind(':');
	if (colon != std::string_view::npos && !authority.ends_with(']')) {
		const auto port = parse_port(authority.substr(colon + 1));
		if (!port)
			return std::nullopt;
		origin.port = *port;
		authority = authority.substr(0, colon);
	}
	origin.wildcard = authority.starts_with("*.");
	origin.host = origin.wildcard ? authority.substr(2) : authority;
	if (!is_host(origin.host) || (!origin.https && !is_loopback(origin.host)))
		return std::nullopt;
	return origin;
}

bool host_matches(const Origin &pattern, std::string_view host) noexcept
{
	if (!pattern.wildcard)
		return equal_names(pattern.host, host);
	const std::size_t dot = host.find('.');
	return dot != std::string_view::npos && equal_names(pattern.host, host.substr(dot + 1));
}

bool matches(std::string_view pattern_text, const Origin &origin) noexcept
{
	if (!is_origin_pattern(pattern_text))
		return false;
	const auto pattern = parse_origin(pattern_text);
	return pattern && pattern->https == origin.https && pattern->port == origin.port &&
		   host_matches(*pattern, origin.host);
}

// Visible ASCII that a URL may contain, without incomplete escapes.
bool has_only_url_characters(std::string_view url) noexcept
{
	constexpr std::string_view kRefused = "\\\"<>^`{|}";
	for (std::size_t i = 0; i < url.size(); i++) {
		const char c = url[i];
		if (c <= ' ' || c > '~' || kRefused.find(c) != std::string_view::npos)
			return false;
		if (c == '%' && (url.size() - i < 3 || !is_hex(url[i + 1]) || !is_hex(url[i + 2])))
			return false;
	}
	return true;
}

// No path that a browser, or a server that decodes it first, would read as a host.
bool is_relative(std::string_view path) noexcept
{
	if (!path.starts_with('/'))
		return false;
	const std::string_view rest = path.substr(1);
	return !rest.starts_with('/') && !equal_names(rest.substr(0, 3), "%2f") &&
		   !equal_names(rest.substr(0, 3), "%5c");
}

bool is_path_prefix(std::string_view path) noexcept
{
	while (!path.empty()) {
		const std::size_t end = std::min(path.find('/', 1), path.size());
		const std::string_view segment = path.substr(1, end - 1);
		const bool last = end == path.size();
		if (path.front() != '/' || (segment.empty() && !last) || segment == "." || segment == "..")
			return false;
		for (const char c : segment)
			if (!is_letter(c) && !is_digit(c) && c != '-' && c != '.' && c != '_' && c != '~')
				return false;
		path.remove_prefix(end);
	}
	return true;
}

} // namespace

bool is_origin_pattern(std::string_view pattern) noexcept
{
	const auto origin = parse_origin(pattern);
	if (!origin || origin->size != pattern.size() ||
		!std::ranges::all_of(pattern, [](char c) { return c == lower(c); }))
		return false;
	return !origin->wildcard || (is_name(origin->host) && count_labels(origin->host) >= 2);
}

bool is_public_url(std::string_view url) noexcept
{
	const auto origin = parse_origin(url);
	return origin && !origin->wildcard && url.size() <= kMaxUrlBytes &&
		   is_path_prefix(url.substr(origin->size));
}

std::string_view origin_of(std::string_view public_url) noexcept
{
	const auto origin = parse_origin(public_url);
	return origin ? public_url.substr(0, origin->size) : std::string_view();
}

bool return_to_allowed(std::string_view return_to,
					   std::span<const std::string_view> origins) noexcept
{
	if (return_to.size() > kMaxUrlBytes || !has_only_url_characters(return_to))
		return false;
	if (is_relative(return_to))
		return true;
	const auto origin = parse_origin(return_to);
	return origin && !origin->wildcard &&
		   std::ranges::any_of(origins, [&](auto pattern) { return matches(pattern, *origin); });
}

} // namespace common
