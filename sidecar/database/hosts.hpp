// The servers that an address names, one by one.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "address/conninfo.hpp"

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

// In the order in which they are to be tried, as the address has them: names are still to
// be looked up. Lists that libpq would complain of, or that leave a part to it, are one
// Host, empty: then libpq looks names up itself, and goes on only after a refusal.
std::vector<Host> hosts_of(const address::Conninfo &address);

// `prefer-standby` goes through them twice.
std::vector<Host> by_preference(const address::Conninfo &address, std::vector<Host> hosts);

// How long one attempt may take: what connect_timeout says (libpq's least is 2 s), or
// `otherwise`, or 2 s if there are others to go on to.
std::chrono::milliseconds attempt_limit(const address::Conninfo &address, std::size_t hosts,
										std::chrono::milliseconds otherwise);

} // namespace sidecar::database
