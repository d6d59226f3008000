#include "settings/address.hpp"

#include <arpa/inet.h>
#include <sys/un.h>

#include "base/text.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kForms =
	"it must be like 127.0.0.1:8090, [::1]:8090 or unix:/run/oauth-sidecar/socket";

bool is_ip_address(int family, const std::string &host)
{
	in6_addr address{};
	return inet_pton(family, host.c_str(), &address) == 1;
}

std::variant<Address, std::string_view> parse_unix(std::string_view path)
{
	if (!path.starts_with('/') || path.ends_with('/'))
		return "the path of a Unix socket must be absolute: unix:/run/oauth-sidecar/socket";
	if (path.size() >= sizeof(sockaddr_un::sun_path))
		return "the path of a Unix socket has at most 107 bytes";
	Address address;
	address.unix_path = path;
	return address;
}

} // namespace

std::variant<Address, std::string_view> parse_address(std::string_view text)
{
	if (text.starts_with(kUnix))
		return parse_unix(text.substr(kUnix.size()));
	const std::size_t colon = text.rfind(':');
	if (colon == text.npos)
		return kForms;
	const auto port = parse_number(text.substr(colon + 1), 1, 65535);
	if (!port || !common::is_digit(text[colon + 1]))
		return "the port must be a number from 1 to 65535";

	std::string_view host = text.substr(0, colon);
	if (host.empty() || host == "*")
		return "say which address: 127.0.0.1 for this machine alone, 0.0.0.0 or [::] for all";
	const bool bracketed = host.starts_with('[') && host.ends_with(']');
	if (bracketed)
		host = host.substr(1, host.size() - 2);
	Address address;
	address.host = host == "localhost" ? "127.0.0.1" : host;
	address.port = static_cast<unsigned short>(*port);
	if (!bracketed && host.find(':') != host.npos)
		return "an IPv6 address stands in brackets: [::1]:8090";
	if (!is_ip_address(bracketed ? AF_INET6 : AF_INET, address.host))
		return "the host must be an IP address or localhost; other names are not looked up";
	return address;
}

std::string text_of(const Address &address)
{
	if (!address.unix_path.empty())
		return "unix:" + address.unix_path;
	const bool is_ipv6 = address.host.find(':') != address.host.npos;
	return (is_ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

bool is_local(const Address &address) noexcept
{
	return !address.unix_path.empty() || address.host == "::1" || address.host.starts_with("127.");
}

} // namespace sidecar::settings
