#include "server/server_state.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "server/connection.hpp"

namespace sidecar::server
{

RequestIds::RequestIds()
{
	if (RAND_bytes(reinterpret_cast<unsigned char *>(&state_), sizeof state_) != 1)
		throw std::runtime_error("OpenSSL gives no random numbers");
}

// SplitMix64. It is a permutation, so 2^64 ids are different.
RequestIds::Id RequestIds::next() noexcept
{
	std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
	mixed ^= mixed >> 31;
	Id id;
	for (auto digit = id.rbegin(); digit != id.rend(); ++digit, mixed >>= 4)
		*digit = "0123456789abcdef"[mixed & 15];
	return id;
}

ServerState::ServerState(Loop loop, const Limits &wanted, Refusal refuses,
						 std::shared_ptr<std::atomic<int>> all)
	: context(loop.context), limits(wanted), handler(std::move(loop.handler)),
	  refusal(std::move(refuses)), observer(std::move(loop.observer)),
	  clients_of_all(std::move(all))
{
}

HttpConnection *ServerState::longest_idle() const noexcept
{
	const auto found = std::ranges::find(connections, Phase::idle, &HttpConnection::phase);
	return found == connections.end() ? nullptr : *found;
}

// A connection that expires goes to the end of the list.
void ServerState::expire_late()
{
	const auto now = HttpConnection::Clock::now();
	for (auto next = connections.begin(); next != connections.end();)
		if (HttpConnection *connection = *next++; connection->deadline() <= now)
			connection->expire();
}

void ServerState::expire_idle()
{
	while (HttpConnection *idle = longest_idle())
		idle->expire();
}

void ServerState::stop()
{
	is_stopped = true;
	const auto all = connections; // cut() moves it in the list
	for (HttpConnection *connection : all)
		connection->cut();
}

} // namespace sidecar::server
