#include "server/server_state.hpp"

#include <openssl/rand.h>

#include <stdexcept>
#include <utility>

namespace sidecar::server
{

RequestIds::RequestIds()
{
	if (RAND_bytes(reinterpret_cast<unsigned char *>(&state_), sizeof state_) != 1)
		throw std::runtime_error("no random numbers to be had");
}

// SplitMix64: a permutation, so that 2^64 of them are different.
std::string RequestIds::next()
{
	std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
	mixed ^= mixed >> 31;
	std::string id(16, '0');
	for (auto digit = id.rbegin(); digit != id.rend(); ++digit, mixed >>= 4)
		*digit = "0123456789abcdef"[mixed & 15];
	return id;
}

ServerState::ServerState(boost::asio::io_context &io_context, Limits wanted, Handler answers,
						 Refusal refuses, Observer observes)
	: context(io_context), limits(wanted), handler(std::move(answers)), refusal(std::move(refuses)),
	  observer(std::move(observes)), timeouts(wanted), tick(io_context)
{
}

} // namespace sidecar::server
