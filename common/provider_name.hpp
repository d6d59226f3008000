// The name of a provider: [a-z0-9][a-z0-9_-]*, with an optional .label of the
// same form, so that one actor may have several accounts of one provider. Plain
// C++ without allocation; the sidecar has it, too.
#pragma once

#include <string_view>

namespace flow
{

bool is_provider_name(std::string_view name) noexcept;

// What picks the configuration: the part before the dot.
std::string_view provider_base(std::string_view name) noexcept;

} // namespace flow
