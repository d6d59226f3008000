// Part of a daemon one of whose tasks fails when it begins: the one that FAILING_TASK names.
#include <cstdlib>
#include <stdexcept>

#include "base/task.hpp"

namespace
{

void fail_if_chosen(std::string_view name)
{
	const char *failing = std::getenv("FAILING_TASK");
	if (failing != nullptr && failing == name)
		throw std::logic_error("a failure for the tests");
}

[[maybe_unused]] const bool kIsSet = (sidecar::before_each_task = &fail_if_chosen) != nullptr;

} // namespace
