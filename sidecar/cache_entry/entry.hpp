// The value of an entry: JSON that any Redis client can read, or, with OAUTH_CACHE_KEY, a
// Fernet token of that (docs/design/cache.md, "Entries").
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "cache_entry/sealer.hpp"
#include "common/secret_string.hpp"

namespace sidecar::cache_entry
{

// Two tokens of 64 KiB and the scopes, sealed.
inline constexpr std::size_t kMaxValueBytes = 200 * 1024;

struct Entry {
	common::Secret access_token;
	std::optional<common::Secret> refresh_token;
	std::optional<long long> expires_at; // seconds since 1970 UTC
	std::optional<std::string> scope;
	std::string fill; // cache/fill.hpp; only in sealed entries
};

// Not for use by two threads at once.
class EntryFormat
{
public:
	// Empty: plain JSON. Throws as Sealer does.
	explicit EntryFormat(const common::Secret &key) : sealer_(key) {}

	// An empty secret if the value would be larger than kMaxValueBytes: do not cache it then.
	// `key_name` is the entry's own key in Redis.
	common::Secret write(std::string_view key_name, const Entry &entry) const;

	// Nothing if the value is not an entry, too large, damaged, sealed with
	// another key, or sealed for another entry. Unknown members are ignored.
	std::optional<Entry> read(std::string_view key_name, std::string_view value) const;

private:
	Sealer sealer_;
};

} // namespace sidecar::cache_entry
