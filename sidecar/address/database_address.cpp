#include "address/database_address.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "address/conninfo.hpp"

namespace sidecar::address
{

namespace
{

constexpr const char *kEncode =
	"must have the characters @ / : ? # and % percent-encoded in user and password";

bool is_uri(std::string_view url) noexcept
{
	return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

bool is_list_of_ports(std::string_view ports) noexcept
{
	return std::all_of(ports.begin(), ports.end(),
					   [](unsigned char c) { return std::isdigit(c) != 0 || c == ','; });
}

} // namespace

std::optional<std::string> error_of_url(const common::Secret &url)
{
	const std::string_view text = url.reveal();
	if (text.empty())
		return "is empty";
	if (text.find('\0') != text.npos)
		return "holds a NUL character";
	const Conninfo options = Conninfo::of(url);
	if (!options)
		return is_uri(text) ? kEncode
							: "is neither a postgresql:// URL nor a list of key=value pairs";
	if (!is_uri(text))
		return std::nullopt;
	// A bare / ends the host, a bare @ the password, and the rest is read as something else. A
	// port that is no number is a password if a @ follows.
	const std::string_view port = options.value("port");
	const bool is_torn =
		options.value("host").find('@') != text.npos ||
		(!is_list_of_ports(port) && text.rfind('@') != text.npos &&
		 text.rfind('@') > text.rfind(":" + std::string(port))) ||
		(options.value("user").empty() && options.value("dbname").find('@') != text.npos);
	return is_torn ? std::optional<std::string>(kEncode) : std::nullopt;
}

} // namespace sidecar::address
