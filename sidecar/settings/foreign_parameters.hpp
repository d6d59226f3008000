// Parameters that other clients of PostgreSQL take in the address of a database, and
// libpq does not.
#pragma once

#include <string_view>

namespace sidecar::settings
{

enum class Foreign {
	unknown,
	ignored, // about the client alone: it means nothing to a server
	refused  // it would change what the address means
};

struct ForeignParameter {
	Foreign kind = Foreign::unknown;
	std::string_view advice; // where it is refused: what to do instead
};

// Names without regard to case, for drivers write the same ones otherwise.
ForeignParameter foreign_parameter(std::string_view name);

} // namespace sidecar::settings
