// The name of a provider: [a-z0-9][a-z0-9_-]*, with an optional .label of the
// same form, so that one actor can have several accounts of one provider. Nothing here
// allocates.
#pragma once

#include <string_view>

namespace common
{

bool is_provider_name(std::string_view name) noexcept;

// The part before the dot, which names the configured provider.
std::string_view provider_base(std::string_view name) noexcept;

} // namespace common
