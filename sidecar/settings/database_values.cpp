#include "settings/database_values.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "base/text.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kName = "DATABASE_URL";
constexpr long long kLastPort = 65535;

// Words with a space before and after each.
struct Words {
	std::string_view keyword;
	std::string_view words;
};

constexpr std::string_view kAskedFor = " disable prefer require ";
constexpr std::string_view kTlsVersions = " TLSv1 TLSv1.1 TLSv1.2 TLSv1.3 ";

constexpr Words kWords[] = {
	{"sslmode", " disable allow prefer require verify-ca verify-full "},
	{"target_session_attrs", " any read-write read-only primary standby prefer-standby "},
	{"load_balance_hosts", " disable random "},
	{"gssencmode", kAskedFor},
	{"channel_binding", kAskedFor},
	{"ssl_min_protocol_version", kTlsVersions},
	{"ssl_max_protocol_version", kTlsVersions},
};

constexpr std::string_view kNumbers[] = {"connect_timeout",  "keepalives",
										 "keepalives_idle",  "keepalives_interval",
										 "keepalives_count", "tcp_user_timeout"};

constexpr std::string_view kFiles[] = {"sslrootcert", "sslcert", "sslkey", "sslcrl"};

void error(Diagnostics &diagnostics, std::string_view keyword, std::string_view what)
{
	diagnostics.error(kName, std::string(keyword) + " in it " + std::string(what));
}

void check_words(const database::Conninfo &options, Diagnostics &diagnostics)
{
	for (const auto &[keyword, words] : kWords) {
		const std::string value(options.value(keyword));
		if (!value.empty() && words.find(" " + value + " ") == words.npos)
			error(diagnostics, keyword,
				  "must be one of" + std::string(words.substr(0, words.size() - 1)));
	}
}

void check_numbers(const database::Conninfo &options, Diagnostics &diagnostics)
{
	for (const std::string_view keyword : kNumbers) {
		const std::string_view value = options.value(keyword);
		if (!value.empty() && !parse_number(value, -1, std::numeric_limits<int>::max()))
			error(diagnostics, keyword, "must be a whole number");
	}
}

void check_hosts(const database::Conninfo &options, Diagnostics &diagnostics)
{
	const auto ports = database::parts_of(options.value("port"));
	const auto hosts = database::parts_of(options.value("host"));
	const auto addresses = database::parts_of(options.value("hostaddr"));
	for (const std::string &port : ports)
		if (!port.empty() && !parse_number(port, 1, kLastPort))
			error(diagnostics, "the port", "must be a number from 1 to 65535");
	const bool has_hosts = !options.value("host").empty();
	const bool has_addresses = !options.value("hostaddr").empty();
	if (has_hosts && has_addresses && hosts.size() != addresses.size())
		error(diagnostics, "hostaddr", "must have as many parts as host");
	else if ((has_hosts || has_addresses) && ports.size() > 1 &&
			 ports.size() != std::max(hosts.size(), addresses.size()))
		error(diagnostics, "the port", "must be one for all hosts, or one for each");
	for (const std::string &address : addresses) {
		unsigned char parsed[sizeof(in6_addr)];
		const std::string plain = address.substr(0, address.find('%')); // the zone after it
		if (!plain.empty() && inet_pton(AF_INET, plain.c_str(), parsed) != 1 &&
			inet_pton(AF_INET6, plain.c_str(), parsed) != 1)
			error(diagnostics, "hostaddr", "must be an IP address; write names as the host");
	}
}

// libpq goes on without a client's certificate where the file is not there.
void check_files(const database::Conninfo &options, Diagnostics &diagnostics)
{
	for (const std::string_view keyword : kFiles) {
		const std::string path(options.value(keyword));
		const bool is_elsewhere =
			(keyword == "sslrootcert" && path == "system") ||
			(keyword == "sslkey" && !path.starts_with('/') && path.find(':') != path.npos);
		if (!path.empty() && !is_elsewhere && access(path.c_str(), R_OK) != 0)
			error(diagnostics, keyword, "names a file that is not there, or cannot be read");
	}
}

} // namespace

void check_values(const database::Conninfo &options, Diagnostics &diagnostics)
{
	check_words(options, diagnostics);
	check_numbers(options, diagnostics);
	check_hosts(options, diagnostics);
	check_files(options, diagnostics);
}

} // namespace sidecar::settings
