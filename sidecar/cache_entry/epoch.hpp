// The epoch: which Redis is the cache of which database (docs/design/cache.md, "Epoch").
//
//   <epoch id> <state> <registration id> <redis run id> <database>
//
// with the database as
//
//   <system identifier>/<database oid>/<timeline>/<server start, microseconds>
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sidecar::cache_entry
{

struct DatabaseId {
	std::string system_identifier;
	std::uint32_t database = 0; // its oid
	std::uint32_t timeline = 0;
	long long started_at = 0; // microseconds since 1970 UTC

	bool operator==(const DatabaseId &) const = default;
};

struct Epoch {
	// While it is `evicting`, there may be old entries, and no heartbeat is written.
	enum class State { evicting, ready };

	std::string id; // 32 hexadecimal digits
	State state = State::evicting;
	std::string registration_id; // uuid
	std::string run_id;          // of Redis
	DatabaseId database;

	bool operator==(const Epoch &) const = default;

	// The value in Redis. One epoch has one text, so that texts can be compared.
	std::string text() const;
	// Nothing if text() would not write it so.
	static std::optional<Epoch> parse(std::string_view text);
};

// Whether the text has the form of an epoch id.
bool is_epoch_id(std::string_view text) noexcept;

// A new random id. Throws std::runtime_error if OpenSSL cannot answer.
std::string new_epoch_id();

// What a daemon with this database and this Redis does about an epoch that it finds.
enum class EpochStatus {
	ours,      // it is our epoch: use it
	take_over, // swap in a new one
	deposed,   // the database was promoted or restarted elsewhere: stay off
	foreign,   // another database's: stay off while it has a heartbeat
};
EpochStatus classify(const Epoch &found, const DatabaseId &database,
					 std::string_view registration_id, std::string_view run_id);

} // namespace sidecar::cache_entry
