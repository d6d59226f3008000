#include "settings/connection_url.hpp"

#include <string>
#include <variant>

#include "redis/endpoint.hpp"
#include "settings/text.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kSeparator = "://";

bool is_postgres_scheme(std::string_view scheme)
{
	const std::string lowered = lower(scheme);
	return lowered == "postgres" || lowered == "postgresql" || lowered.starts_with("postgresql+") ||
		   lowered.starts_with("postgres+");
}

// The character that cannot stand in a URL, or nothing. A password with an
// unencoded '%' is the usual one, and libpq's message would quote it.
std::string_view url_fault(std::string_view url)
{
	for (std::size_t i = 0; i < url.size(); i++) {
		if (is_space(url[i]))
			return "there is a space in it; write %20";
		if (url[i] == '%' &&
			(url.size() - i < 3 || !is_hex_digit(url[i + 1]) || !is_hex_digit(url[i + 2])))
			return "a % in it is not followed by two hexadecimal digits; write %25 for the "
				   "character itself";
	}
	return {};
}

} // namespace

Secret database_url(Secret given, Findings &findings)
{
	constexpr std::string_view kName = "DATABASE_URL";
	const std::string_view url = given.reveal();
	const std::size_t separator = url.find(kSeparator);
	const bool keyed = separator == url.npos || url.substr(0, separator).find('=') != url.npos;
	if (keyed) {
		if (url.find('=') == url.npos)
			findings.fault(kName, "it must be like postgresql://user:password@host:5432/database");
		return given;
	}
	if (!is_postgres_scheme(url.substr(0, separator))) {
		findings.fault(kName, "it must begin with postgresql://");
		return given;
	}
	if (const std::string_view wrong = url_fault(url); !wrong.empty())
		findings.fault(kName, wrong);
	Secret normal("postgresql");
	normal.append(url.substr(separator));
	return normal;
}

void check_redis_url(const Secret &url, Findings &findings)
{
	const auto parsed = redis::parse_endpoint(url.reveal());
	if (const auto *wrong = std::get_if<std::string_view>(&parsed))
		findings.fault("REDIS_URL", "it " + std::string(*wrong));
}

} // namespace sidecar::settings
