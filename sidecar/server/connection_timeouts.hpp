// Which connection is in which phase, and since when. A phase has one time
// limit, so that the first of its list is the first to be late: no connection
// needs a timer of its own, and the one that has been idle longest is at hand.
#pragma once

#include <array>
#include <chrono>
#include <list>

#include "server/server.hpp"

namespace sidecar::server
{

class HttpConnection;

enum class Phase { handshake, idle, request, handler, write, linger };
inline constexpr std::size_t kPhases = 6;

class ConnectionTimeouts
{
public:
	using Clock = std::chrono::steady_clock;
	using Position = std::list<HttpConnection *>::iterator;

	explicit ConnectionTimeouts(const Limits &limits);

	// A new connection, in the phase of being idle.
	Position join(HttpConnection &connection);
	void leave(Phase phase, Position place) noexcept;
	// Moves it to the end of another phase's list, or of the same one.
	void move(Phase from, Phase to, Position place) noexcept;

	int size() const noexcept { return size_; }
	// Nothing where none is idle.
	HttpConnection *longest_idle() noexcept;

	// How often to look for late ones.
	std::chrono::milliseconds interval() const noexcept;
	void expire_late();
	void expire_idle();
	void cut_all();

private:
	std::list<HttpConnection *> &list(Phase phase) noexcept
	{
		return lists_[static_cast<std::size_t>(phase)];
	}

	std::array<std::chrono::milliseconds, kPhases> limits_;
	std::array<std::list<HttpConnection *>, kPhases> lists_;
	int size_ = 0;
};

} // namespace sidecar::server
