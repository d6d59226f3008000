#include "settings/foreign_parameters.hpp"

#include <algorithm>
#include <iterator>

#include "base/text.hpp"

namespace sidecar::settings
{

namespace
{

// SQLAlchemy, asyncpg, psycopg, Prisma, node-postgres, Supabase, JDBC: pools, caches of
// statements, times and forms of the client.
constexpr std::string_view kIgnored[] = {
	"applicationname",
	"assumeminserverversion",
	"async_fallback",
	"autosave",
	"binarytransfer",
	"cancelsignaltimeout",
	"charset",
	"command_timeout",
	"connection_limit",
	"connecttimeout",
	"databasemetadatacachefields",
	"defaultrowfetchsize",
	"encoding",
	"executemany_mode",
	"hostrecheckseconds",
	"idle_in_transaction_session_timeout",
	"loadbalancehosts",
	"lock_timeout",
	"loggerlevel",
	"logintimeout",
	"loglevel",
	"max_cacheable_statement_size",
	"max_cached_statement_lifetime",
	"max_overflow",
	"max_size",
	"min_size",
	"pgbouncer",
	"pool_max_conns",
	"pool_mode",
	"pool_pre_ping",
	"pool_recycle",
	"pool_size",
	"pool_timeout",
	"pool_use_lifo",
	"preferquerymode",
	"prepare_threshold",
	"prepared_statement_cache_size",
	"prepared_statement_name_func",
	"preparedstatementcachequeries",
	"preparedstatementcachesizemib",
	"preparethreshold",
	"query_timeout",
	"rewritebatchedinserts",
	"socket_timeout",
	"sockettimeout",
	"statement_cache_size",
	"statement_timeout",
	"stringtype",
	"supa",
	"tcpkeepalive",
	"timeout",
	"uselibpqcompat",
};

struct Refused {
	std::string_view name;
	std::string_view advice;
};

constexpr std::string_view kSchema =
	"leave it out: the daemon finds the extension in whatever schema it is";
constexpr std::string_view kTls = "write sslmode=require, or sslmode=verify-full with sslrootcert";
constexpr std::string_view kSocket = "write host=/directory";

constexpr Refused kRefused[] = {
	{"currentschema", kSchema},
	{"database", "put the name after the host, as in postgresql://host/database"},
	{"db", "put the name after the host, as in postgresql://host/database"},
	{"direct_tls", kTls},
	{"pass", "write password"},
	{"readonly", "leave it out: the daemon writes"},
	{"schema", kSchema},
	{"search_path", kSchema},
	{"server_settings", "write options=-c%20name=value"},
	{"socket", kSocket},
	{"socketfactory", "write host=/directory for a socket, or leave it out"},
	{"ssl_ca", "write sslrootcert"},
	{"ssl_cert", "write sslcert"},
	{"ssl_key", "write sslkey"},
	{"sslaccept", kTls},
	{"sslca", "write sslrootcert"},
	{"sslfactory", kTls},
	{"sslidentity", "write sslcert and sslkey"},
	{"targetservertype", "write target_session_attrs=read-write"},
	{"tls", kTls},
	{"unix_sock", kSocket},
	{"username", "write user"},
};

} // namespace

ForeignParameter foreign_parameter(std::string_view name)
{
	const std::string lowered = lower(name);
	if (std::ranges::find(kIgnored, lowered) != std::end(kIgnored))
		return {Foreign::ignored, {}};
	const auto *refused = std::ranges::find(kRefused, lowered, &Refused::name);
	if (refused != std::end(kRefused))
		return {Foreign::refused, refused->advice};
	return {};
}

} // namespace sidecar::settings
