// The host of a provider's endpoint.
#pragma once

#include <string>

namespace sidecar::client
{

// In lower case, with its port; empty if the URL is none.
std::string host_of(const std::string &url);

// localhost, 127.0.0.0/8 and ::1: http is allowed there, and no proxy is used.
bool is_loopback(const std::string &url);

} // namespace sidecar::client
