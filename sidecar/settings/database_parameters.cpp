#include "settings/database_parameters.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/text.hpp"

namespace sidecar::settings
{

namespace
{

// Lists of words have a space before and after each.
bool is_one_of(std::string_view words, std::string_view word)
{
	return words.find(" " + std::string(word) + " ") != words.npos;
}

// SQLAlchemy, asyncpg, psycopg, Prisma, node-postgres, Supabase, JDBC: pools,
// caches of statements, times and forms of the client. In lower case, for
// drivers write the same ones otherwise.
constexpr std::string_view kIgnored =
	" applicationname assumeminserverversion async_fallback autosave "
	"binarytransfer "
	"cancelsignaltimeout charset command_timeout connection_limit "
	"connecttimeout "
	"databasemetadatacachefields defaultrowfetchsize encoding executemany_mode "
	"hostrecheckseconds idle_in_transaction_session_timeout loadbalancehosts "
	"lock_timeout "
	"loggerlevel logintimeout loglevel max_cacheable_statement_size "
	"max_cached_statement_lifetime max_overflow max_size min_size pgbouncer "
	"pool_max_conns "
	"pool_mode pool_pre_ping pool_recycle pool_size pool_timeout pool_use_lifo "
	"preferquerymode prepare_threshold prepared_statement_cache_size "
	"prepared_statement_name_func preparedstatementcachequeries "
	"preparedstatementcachesizemib "
	"preparethreshold query_timeout rewritebatchedinserts socket_timeout "
	"sockettimeout "
	"statement_cache_size statement_timeout stringtype supa tcpkeepalive "
	"timeout "
	"uselibpqcompat ";

// These would change what the address means. With what to do instead.
constexpr std::pair<std::string_view, std::string_view> kRefused[] = {
	{" currentschema schema search_path ",
	 "leave it out: the daemon finds the extension in whatever schema it is"},
	{" database db ", "put the name after the host, as in postgresql://host/database"},
	{" direct_tls sslaccept sslfactory tls ",
	 "write sslmode=require, or sslmode=verify-full with sslrootcert"},
	{" pass ", "write password"},
	{" readonly ", "leave it out: the daemon writes"},
	{" server_settings ", "write options=-c%20name=value"},
	{" socket socketfactory unix_sock ", "write host=/directory for a socket, or leave it out"},
	{" ssl_ca sslca ", "write sslrootcert"},
	{" ssl_cert ", "write sslcert"},
	{" ssl_key ", "write sslkey"},
	{" sslidentity ", "write sslcert and sslkey"},
	{" targetservertype ", "write target_session_attrs=read-write"},
	{" username ", "write user"},
};

constexpr std::string_view kSslModes = " disable allow prefer require verify-ca verify-full ";
constexpr std::string_view kAskedFor = " disable prefer require ";
constexpr std::string_view kTlsVersions = " TLSv1 TLSv1.1 TLSv1.2 TLSv1.3 ";

// libpq's parameters that take one of a few words.
constexpr std::pair<std::string_view, std::string_view> kWords[] = {
	{"sslmode", kSslModes},
	{"target_session_attrs", " any read-write read-only primary standby prefer-standby "},
	{"load_balance_hosts", " disable random "},
	{"gssencmode", kAskedFor},
	{"channel_binding", kAskedFor},
	{"ssl_min_protocol_version", kTlsVersions},
	{"ssl_max_protocol_version", kTlsVersions},
};

void fault(const Given &given, std::string_view parameter, std::string_view what)
{
	given.error(std::string(parameter) + " in it " + std::string(what));
}

// The word of sslmode for what drivers write as ssl, if there is one.
std::optional<std::string> ssl_mode(std::string_view given)
{
	const std::string word = lower(given);
	if (is_one_of(" true on yes 1 no-verify ", word))
		return "require";
	if (is_one_of(" false off no 0 ", word))
		return "disable";
	return is_one_of(kSslModes, word) ? std::optional(word) : std::nullopt;
}

// Empty, these are not the default.
bool takes_a_word(std::string_view name)
{
	return std::ranges::any_of(kWords, [&](const auto &row) { return row.first == name; });
}

void check_hosts(const address::Conninfo &options, const Given &given)
{
	const auto ports = address::parts_of(options.value("port"));
	const auto hosts = address::parts_of(options.value("host"));
	const auto addresses = address::parts_of(options.value("hostaddr"));
	for (const std::string &port : ports)
		if (!port.empty() && !parse_number(port, 1, 65535))
			fault(given, "the port", "must be a number from 1 to 65535");
	const bool has_hosts = !options.value("host").empty();
	const bool has_addresses = !options.value("hostaddr").empty();
	if (has_hosts && has_addresses && hosts.size() != addresses.size())
		fault(given, "hostaddr", "must have as many parts as host");
	else if ((has_hosts || has_addresses) && ports.size() > 1 &&
			 ports.size() != std::max(hosts.size(), addresses.size()))
		fault(given, "the port", "must be one for all hosts, or one for each");
	for (const std::string &address : addresses) {
		in6_addr parsed;
		const std::string plain = address.substr(0, address.find('%')); // the zone after it
		if (!plain.empty() && inet_pton(AF_INET, plain.c_str(), &parsed) != 1 &&
			inet_pton(AF_INET6, plain.c_str(), &parsed) != 1)
			fault(given, "hostaddr", "must be an IP address; write names as the host");
	}
}

// If the file of a client's certificate is missing, libpq goes on without it.
void check_files(const address::Conninfo &options, const Given &given)
{
	for (const std::string_view keyword : {"sslrootcert", "sslcert", "sslkey", "sslcrl"}) {
		const std::string path(options.value(keyword));
		const bool is_elsewhere =
			(keyword == "sslrootcert" && path == "system") ||
			(keyword == "sslkey" && !path.starts_with('/') && path.find(':') != path.npos);
		if (!path.empty() && !is_elsewhere && access(path.c_str(), R_OK) != 0)
			fault(given, keyword, "names a file that is not there, or cannot be read");
	}
}

} // namespace

bool is_libpq_parameter(std::string_view name)
{
	const auto keywords = address::Conninfo::defaults().keywords();
	return std::ranges::find(keywords, name) != keywords.end();
}

std::string refusal_of(std::string_view name)
{
	const std::string shown = "the parameter " + shown_name(name) + " in it ";
	const std::string lowered = lower(name);
	for (const auto &[names, advice] : kRefused)
		if (is_one_of(names, lowered))
			return shown + "is not PostgreSQL's: " + std::string(advice);
	if (is_one_of(kIgnored, lowered))
		return shown + "is about another client; leave it out";
	if (name == "ssl")
		return shown + "is a driver's; write sslmode";
	return shown + "is none that libpq knows" +
		   nearest_hint(name, address::Conninfo::defaults().keywords()) + "; leave it out";
}

std::string taken_parameter(std::string_view parameter, const Given &given)
{
	const std::size_t equals = std::min(parameter.find('='), parameter.size());
	const std::string_view name = parameter.substr(0, equals);
	const std::string_view value = parameter.substr(std::min(equals + 1, parameter.size()));
	const std::string shown = "the parameter " + shown_name(name) + " in it ";
	if (name == "ssl") {
		if (const auto mode = ssl_mode(value))
			return "sslmode=" + *mode;
		given.error(shown + "must be true, false or a word of sslmode (require, verify-full …)");
	} else if (equals == parameter.size() || (value.empty() && takes_a_word(name))) {
		given.error(shown + "has no value");
	} else if (is_libpq_parameter(name)) {
		return std::string(parameter);
	} else if (is_one_of(kIgnored, lower(name))) {
		given.warn(shown + "is about another client, and is ignored");
	} else {
		given.error(refusal_of(name));
	}
	return {};
}

void check_values(const address::Conninfo &options, const Given &given)
{
	for (const auto &[keyword, words] : kWords) {
		const std::string_view value = options.value(keyword);
		if (!value.empty() && !is_one_of(words, value))
			fault(given, keyword,
				  "must be one of" + std::string(words.substr(0, words.size() - 1)));
	}
	for (const std::string_view keyword :
		 {"connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval",
		  "keepalives_count", "tcp_user_timeout"}) {
		const std::string_view value = options.value(keyword);
		if (!value.empty() && !parse_number(value, -1, std::numeric_limits<int>::max()))
			fault(given, keyword, "must be a whole number");
	}
	check_hosts(options, given);
	check_files(options, given);
}

} // namespace sidecar::settings
