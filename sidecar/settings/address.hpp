// Addresses to listen on.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "settings/settings.hpp"

namespace sidecar::settings
{

// "127.0.0.1:8090", "[::1]:8090", "localhost:8090" or "unix:/path"; else what is
// wrong. Other names are not looked up: they could come to mean another
// interface overnight.
std::variant<Address, std::string_view> parse_address(std::string_view text);

// What parse_address() reads.
std::string text_of(const Address &address);

// A Unix socket counts, too: only this machine reaches it.
bool is_local(const Address &address) noexcept;

} // namespace sidecar::settings
