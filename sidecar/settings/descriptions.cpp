#include "settings/settings.hpp"

namespace sidecar::settings
{

const std::vector<Description> &descriptions()
{
	// The default is empty where there is none, and the meaning then says so.
	static const std::vector<Description> kDescriptions = {
		{"DATABASE_URL", "",
		 "Postgres, as in postgresql://user:password@host:5432/database; required", true},
		{"GOOGLE_CLIENT_ID", "", "with GOOGLE_CLIENT_SECRET: the provider google, without a block",
		 false},
		{"GOOGLE_CLIENT_SECRET", "", "see GOOGLE_CLIENT_ID", true},
		{"MICROSOFT_CLIENT_ID", "",
		 "with MICROSOFT_CLIENT_SECRET: the provider microsoft, without a block", false},
		{"MICROSOFT_CLIENT_SECRET", "", "see MICROSOFT_CLIENT_ID", true},
		{"MICROSOFT_TENANT", "common", "common, organizations, consumers, a domain or a GUID",
		 false},
		{"OAUTH_API_LISTEN", "the same", "listen here for the API and /metrics", false},
		{"OAUTH_API_TOKENS", "none: the API answers 401",
		 "tokens that may call all of the API, with commas between, at least 20 characters each",
		 true},
		{"OAUTH_CACHE_KEY", "none: entries are plain",
		 "a Fernet key that seals what is cached; not together with OAUTH_CACHE_KEY_TEMPLATE",
		 true},
		{"OAUTH_CACHE_KEY_TEMPLATE", "the cache's own",
		 "the key of an entry, for services that read it, of {provider}, {workspace_id}, "
		 "{actor_id} "
		 "and {actor_type}; without the last, users alone are cached",
		 false},
		{"OAUTH_CACHE_MAX_TTL", "3600",
		 "longest life of an entry, in seconds; one whose token has no known expiry lives for 300 "
		 "at most",
		 false},
		{"OAUTH_CACHE_PREFIX", "oauth:cache",
		 "prefix of the cache's own keys; each database needs another", false},
		{"OAUTH_CACHE_REFRESH_TOKEN", "off",
		 "on: entries hold the refresh token, for services that read them", false},
		{"OAUTH_CACHE_REQUIRE_EPHEMERAL", "off",
		 "on: refuse to write plain entries to a Redis that writes to disk or has replicas", false},
		{"OAUTH_CA_FILE", "the system's",
		 "PEM file of the authorities that certificates of providers and Redis are checked with",
		 false},
		{"OAUTH_CONFIG", "oauth-sidecar.toml if there", "TOML file with settings and providers",
		 false},
		{"OAUTH_DATABASE_POOL", "8", "connections to Postgres", false},
		{"OAUTH_LISTEN", "127.0.0.1:8090", "listen here: address and port, or unix:/path", false},
		{"OAUTH_LOG_LEVEL", "info", "debug, info, warning or error", false},
		{"OAUTH_MAX_CONNECTIONS", "10000", "clients connected at a time", false},
		{"OAUTH_PROVIDER_TIMEOUT_SECONDS", "15", "longest call to a provider", false},
		{"OAUTH_PUBLIC_URL", "http://localhost:<port>",
		 "what browsers see, and redirect addresses are made from; required with a Unix socket",
		 false},
		{"OAUTH_RETURN_TO", "none: paths only",
		 "origins that a browser may be sent back to, with commas between; "
		 "https://*.example.com allows one label",
		 false},
		{"OAUTH_SPOOL_DIR", "/var/lib/oauth-sidecar",
		 "directory, of mode 0700, for answers that are not yet stored; must outlive a container",
		 false},
		{"OAUTH_STATE_TTL_SECONDS", "600", "life of a link", false},
		{"OAUTH_TLS_CERTIFICATE", "none: plain HTTP", "PEM file with the certificate and its chain",
		 false},
		{"OAUTH_TLS_KEY", "", "PEM file with the certificate's private key", false},
		{"REDIS_URL", "none: no cache",
		 "Redis, which keeps copies of access tokens, as in redis://user:password@host:6379/0; "
		 "rediss:// for TLS, unix:///path, or sentinels with ?master=NAME",
		 true},
	};
	return kDescriptions;
}

} // namespace sidecar::settings
