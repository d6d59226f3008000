// The names of everything that the cache keeps in Redis (docs/design/cache.md, "Entries").
#pragma once

#include <string>
#include <string_view>

#include "cache_entry/key_template.hpp"

namespace sidecar::cache_entry
{

struct Keys {
	Keys(std::string_view key_template, const std::string &prefix)
		: entries(key_template), live(prefix + ":live"), epoch(prefix + ":epoch"),
		  drainer(prefix + ":drainer"), metadata_prefix(prefix + ":meta:"),
		  lease_prefix(prefix + ":lease:")
	{
	}

	std::string entry_metadata(std::string_view entry) const
	{
		return metadata_prefix + std::string(entry);
	}
	// The same of an identity's entry. The entry's own key is its end, by entry_of().
	std::string entry_metadata(const oauth::Identity &identity) const
	{
		std::string name;
		name.reserve(metadata_prefix.size() + KeyTemplate::kUsualSize);
		name += metadata_prefix;
		entries.append_key(name, identity);
		return name;
	}
	std::string_view entry_of(std::string_view metadata_name) const
	{
		return metadata_name.substr(metadata_prefix.size());
	}
	std::string lease(std::string_view entry) const { return lease_prefix + std::string(entry); }

	const KeyTemplate entries;
	const std::string live;    // the heartbeat: the epoch's id, for 5 s
	const std::string epoch;   // the epoch
	const std::string drainer; // which daemon drains, for 2 s
	const std::string metadata_prefix;
	const std::string lease_prefix;
};

} // namespace sidecar::cache_entry
