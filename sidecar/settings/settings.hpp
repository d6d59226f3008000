// The daemon's settings: environment variables, a .env file, a TOML file
// (docs/design/flow.md, "Settings"). An environment variable wins over .env, and both over
// the TOML file; every secret may come by value, by NAME_FILE, or (in TOML) by
// the name of an environment variable. All settings, and their defaults, are in
// settings_table.cpp.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/digest.hpp"
#include "common/secret_string.hpp"
#include "oauth/provider.hpp"

namespace sidecar::settings
{

// Where to listen: "host:port", "[::1]:port" or "unix:/path".
struct Address {
	std::string host; // empty: a Unix socket
	unsigned short port = 0;
	std::string unix_path;

	bool operator==(const Address &) const = default;
};

// A key to the API. Only its digest is kept.
struct ApiToken {
	enum Call : unsigned { status = 1, authorize = 2, token = 4, delete_ = 8, everything = 15 };
	std::string name; // for the log
	common::Digest digest{};
	unsigned allow = everything;
	std::vector<std::string> workspaces; // lower-case uuids; empty: all
	std::vector<std::string> providers;  // base names or names with a label; empty: all
};

// docs/design/cache.md, "Entries"
struct Cache {
	common::Secret key;       // empty: entries are plain
	std::string key_template; // empty: the cache's own
	std::chrono::seconds max_ttl{0};
	std::string prefix;             // of the cache's own keys
	bool refresh_token = false;     // entries contain it, too
	bool require_ephemeral = false; // refuse a Redis that keeps plain entries
};

// What the environment says about the provider of a preset's own name.
struct PresetClient {
	std::string id; // empty: it does not say
	common::Secret secret;
	std::string tenant;
};

struct Settings {
	common::Secret database_url;
	common::Secret redis_url; // empty: no cache
	Cache cache;
	Address listen;
	std::optional<Address> api_listen; // nothing: the same listener
	std::string public_url;            // without a trailing slash
	std::vector<ApiToken> api_tokens;
	std::vector<std::string> return_to_origins;
	std::chrono::seconds state_ttl{0};
	std::string spool_dir;
	std::string tls_certificate; // PEM files; both or none
	std::string tls_key;
	std::string ca_file; // PEM bundle for providers; empty: the system's
	int max_connections = 0;
	std::chrono::seconds provider_timeout{0};
	int database_pool = 0;
	int threads = 0; // 0: as many as there are cores for us, up to 8
	std::string log_level;
	std::map<std::string, PresetClient> preset_clients;            // until the providers are read
	std::map<std::string, oauth::Provider, std::less<>> providers; // by base name

	// Notes that are no errors but worth a word at start (`--check` shows them).
	std::vector<std::string> warnings;
};

// A setting that is wrong: which, what about it, what to do. Never its value.
struct SettingError {
	std::string setting;
	std::string message;
};

using Environment = std::map<std::string, std::string, std::less<>>;

struct Loaded {
	Settings settings;
	std::vector<SettingError> errors; // all of them, not the first
};

// Reads everything. `directory` is where .env and oauth-sidecar.toml are looked for.
Loaded load(const Environment &environment, const std::string &directory);

} // namespace sidecar::settings
