// An entry as JSON (docs/design/cache.md, "Entries"):
//
//   {"access_token":"…","refresh_token":null,
//    "expires_at":"2026-11-22T09:32:37+00:00","scope":null}
//
// By its own events: through the tree of oauth/json.hpp, reading an entry of 2 KB took 91,700
// instructions in place of 75,200, in each cached read.
#pragma once

#include <optional>
#include <string_view>

#include "cache_entry/entry.hpp"

namespace sidecar::cache_entry
{

// The entry's own key in Redis; nothing if the entry does not name it.
using KeyName = std::optional<std::string_view>;

// With a key name, there is a fifth member, "key", and a sixth, "fill", if the entry has
// one.
common::Secret write_entry_json(const Entry &entry, KeyName key_name);

// Nothing if the text is not such an object: a member has another type or
// comes twice, there is no access token, or "key" is not the one that is asked for. Unknown
// members are ignored.
std::optional<Entry> read_entry_json(std::string_view text, KeyName key_name);

// The same, also for texts that we wrote ourselves. read_entry_json() reads these in a tenth of the
// time; a fuzz target compares the two.
std::optional<Entry> parse_entry_json(std::string_view text, KeyName key_name);

} // namespace sidecar::cache_entry
