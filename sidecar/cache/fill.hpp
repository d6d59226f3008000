// What a sealed entry says about its fill. So nobody without the key can keep it, or put it
// back, after it has become wrong (docs/design/threats.md, C19).
//
//   <epoch id> <read at> <until>
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sidecar::cache
{

struct Fill {
	std::string epoch_id;
	// Microseconds since 1970 UTC by the database's clock:
	std::int64_t read_at = 0; // before it was read there
	std::int64_t until = 0;   // when the entry ends

	std::string text() const;
	// Nothing if text() would not write it so.
	static std::optional<Fill> parse(std::string_view text);
};

} // namespace sidecar::cache
