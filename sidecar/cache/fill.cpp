#include "cache/fill.hpp"

#include <cinttypes>
#include <cstdio>

#include "cache_entry/epoch.hpp"

namespace sidecar::cache
{

std::string Fill::text() const
{
	return epoch_id + ' ' + std::to_string(read_at) + ' ' + std::to_string(until);
}

std::optional<Fill> Fill::parse(std::string_view text)
{
	Fill fill;
	char id[33];
	if (std::sscanf(std::string(text).c_str(), "%32s %" SCNd64 " %" SCNd64, id, &fill.read_at,
					&fill.until) != 3)
		return std::nullopt;
	fill.epoch_id = id;
	return cache_entry::is_epoch_id(fill.epoch_id) && fill.text() == text ? std::optional(fill)
																		  : std::nullopt;
}

} // namespace sidecar::cache
