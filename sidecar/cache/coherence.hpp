// What the invalidator has found out, and readers go by.
#pragma once

#include <memory>
#include <string>

#include "cache/epoch.hpp"

namespace sidecar::cache
{

// The epoch that entries are filled and served under. Nothing while it is not known:
// then tokens come from the database.
struct Coherence {
	struct Known {
		explicit Known(Epoch of) : epoch(std::move(of)), text(epoch.text()) {}
		const Epoch epoch;
		const std::string text; // as it stands in Redis
	};

	std::shared_ptr<const Known> known;
};

} // namespace sidecar::cache
