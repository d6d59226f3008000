// The servers that an address names, one by one.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::database
{

// One address of one server, with what else an attempt there has to say, each as libpq
// takes it; empty: as the address of the database has it.
struct Host {
	std::string name;
	std::string address; // an IP address of it
	std::string port;
	std::string session_attributes; // target_session_attrs
};

// In the order in which they are to be tried. `prefer-standby` goes through them twice.
// Looks up names, and so may take its time. An address that names a service is left to
// libpq as a whole: one Host, empty.
std::vector<Host> hosts_of(const Secret &url);

// How long one attempt may take: what connect_timeout says (libpq's least is 2 s), or
// `otherwise`, or 2 s where there are others to go on to.
std::chrono::milliseconds attempt_limit(const Secret &url, std::size_t hosts,
										std::chrono::milliseconds otherwise);

} // namespace sidecar::database
