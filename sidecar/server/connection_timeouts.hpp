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

class Connection;

enum class Phase { handshake, idle, request, handler, write, linger };
inline constexpr std::size_t kPhases = 6;

class Timetable
{
public:
	using Clock = std::chrono::steady_clock;
	using Place = std::list<Connection *>::iterator;

	explicit Timetable(const Limits &limits);

	// A new connection, in the phase of being idle.
	Place join(Connection &connection);
	void leave(Phase phase, Place place) noexcept;
	// Moves it to the end of another phase's list, or of the same one.
	void move(Phase from, Phase to, Place place) noexcept;

	int size() const noexcept { return size_; }
	// Nothing where none is idle.
	Connection *longest_idle() noexcept;

	// How often to look for late ones.
	std::chrono::milliseconds interval() const noexcept;
	void expire_late();
	void expire_idle();
	void cut_all();

private:
	std::list<Connection *> &list(Phase phase) noexcept
	{
		return lists_[static_cast<std::size_t>(phase)];
	}

	std::array<std::chrono::milliseconds, kPhases> limits_;
	std::array<std::list<Connection *>, kPhases> lists_;
	int size_ = 0;
};

} // namespace sidecar::server
