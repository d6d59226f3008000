#pragma once

#include <chrono>
#include <cstddef>

namespace sidecar::redis
{

struct Limits {
	std::chrono::milliseconds connect{2000}; // for each address: TCP, TLS, log-in
	std::chrono::milliseconds command{100};  // for an answer
	std::size_t waiting = 10000;             // commands; beyond it: an error at once
	std::size_t reply = 16 << 20;            // bytes
};

} // namespace sidecar::redis
