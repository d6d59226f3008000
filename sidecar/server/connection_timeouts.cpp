#include "server/connection_timeouts.hpp"

#include <algorithm>
#include <vector>

#include "server/connection.hpp"

namespace sidecar::server
{

ConnectionTimeouts::ConnectionTimeouts(const Limits &limits)
	: limits_{limits.handshake, limits.idle,  limits.header,
			  limits.handler,   limits.write, limits.linger}
{
}

ConnectionTimeouts::Position ConnectionTimeouts::join(HttpConnection &connection)
{
	auto &idle = list(Phase::idle);
	size_++;
	return idle.insert(idle.end(), &connection);
}

void ConnectionTimeouts::leave(Phase phase, Position place) noexcept
{
	list(phase).erase(place);
	size_--;
}

void ConnectionTimeouts::move(Phase from, Phase to, Position place) noexcept
{
	list(to).splice(list(to).end(), list(from), place);
}

HttpConnection *ConnectionTimeouts::longest_idle() noexcept
{
	auto &idle = list(Phase::idle);
	return idle.empty() ? nullptr : idle.front();
}

std::chrono::milliseconds ConnectionTimeouts::interval() const noexcept
{
	using std::chrono::milliseconds;
	const auto shortest = *std::min_element(limits_.begin(), limits_.end());
	return std::clamp(shortest / 5, milliseconds(10), milliseconds(250));
}

// Each leaves its list in expire(), or goes to the end of it.
void ConnectionTimeouts::expire_late()
{
	const auto now = Clock::now();
	for (std::size_t i = 0; i < kPhases; i++)
		while (!lists_[i].empty() && now - lists_[i].front()->since() >= limits_[i])
			lists_[i].front()->expire();
}

void ConnectionTimeouts::expire_idle()
{
	while (HttpConnection *idle = longest_idle())
		idle->expire();
}

void ConnectionTimeouts::cut_all()
{
	std::vector<HttpConnection *> all; // cutting moves them from list to list
	for (const auto &connections : lists_)
		all.insert(all.end(), connections.begin(), connections.end());
	for (HttpConnection *connection : all)
		connection->cut();
}

} // namespace sidecar::server
