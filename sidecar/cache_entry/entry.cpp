#include "cache_entry/entry.hpp"

#include <utility>

#include "cache_entry/entry_json.hpp"

namespace sidecar::cache_entry
{

common::Secret EntryFormat::write(std::string_view key_name, const Entry &entry) const
{
	common::Secret json =
		write_entry_json(entry, sealer_.is_active() ? KeyName(key_name) : std::nullopt);
	if (sealer_.is_active() && json.size() <= kMaxValueBytes)
		json = common::Secret(sealer_.seal(json.reveal()));
	return json.size() <= kMaxValueBytes ? std::move(json) : common::Secret();
}

std::optional<Entry> EntryFormat::read(std::string_view key_name, std::string_view value) const
{
	if (value.size() > kMaxValueBytes)
		return std::nullopt;
	if (!sealer_.is_active())
		return read_entry_json(value, std::nullopt);
	const auto json = sealer_.open(value);
	return json ? read_entry_json(json->reveal(), key_name) : std::nullopt;
}

} // namespace sidecar::cache_entry
