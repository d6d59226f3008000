// Entry metadata (docs/design/cache.md, "Entries"): says to which epoch and identity an entry
// belongs, so that an entry of another program is a miss.
//
//   <epoch id> <SHA-256 of identity and entry, in hex> <details, or ->
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cache_entry/sealer.hpp"
#include "oauth/attempt.hpp"

namespace sidecar::cache_entry
{

struct EntryMetadata {
	std::string_view epoch_id; // points into the text that was read
	std::string details;       // of oauth_connections: a JSON object, or empty
};

// Not for use by two threads at once.
class EntryMetadataFormat
{
public:
	// Empty key: plain. With the key of the entries, the details are sealed, too, because they
	// contain an e-mail address. Throws as Sealer does.
	explicit EntryMetadataFormat(const common::Secret &key) : sealer_(key) {}

	std::string write(std::string_view epoch_id, const oauth::Identity &identity,
					  std::string_view entry_value, std::string_view details) const;

	// Nothing if the text is no entry metadata, or that of another entry or identity. The
	// caller compares the epoch.
	std::optional<EntryMetadata> read(std::string_view text, const oauth::Identity &identity,
									  std::string_view entry_value) const;

private:
	Sealer sealer_;
};

} // namespace sidecar::cache_entry
