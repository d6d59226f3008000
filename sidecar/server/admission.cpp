#include "server/admission.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <utility>

#include "base/log.hpp"
#include "base/task.hpp"
#include "server/connection.hpp"

namespace sidecar::server
{

namespace asio = boost::asio;

const std::shared_ptr<ServerState> &Admission::next_loop() noexcept
{
	std::size_t best = (last_ + 1) % loops_.size();
	for (std::size_t i = 2; i <= loops_.size(); i++)
		if (const std::size_t other = (last_ + i) % loops_.size();
			loops_[other]->clients < loops_[best]->clients)
			best = other;
	last_ = best;
	return loops_[best];
}

void Admission::admit(Place client, Socket socket) const
{
	serve(std::move(client), std::move(socket), 1);
}

// At once, if this is the loop's thread. `tries`: how many loops have tried, with this one.
void Admission::serve(Place client, Socket socket, std::size_t tries) const
{
	const std::shared_ptr<ServerState> loop = client.state();
	auto begin = [self = shared_from_this(), client = std::move(client), socket = std::move(socket),
				  tries]() mutable {
		ServerState &loop = *client.state();
		if (!self->make_room(loop))
			return self->pass_on(std::move(client), std::move(socket), tries);
		try {
			auto connection = std::make_shared<HttpConnection>(std::move(client), std::move(socket),
															   self->tls_.get(), self->audience_);
			start_task(loop.context.get_executor(), "connection",
					   HttpConnection::run(std::move(connection)));
		} catch (const std::exception &) {
			log::error("no memory for a connection");
		}
	};
	asio::dispatch(loop->context, std::move(begin));
}

// At the limit, the connection that has been idle longest is closed.
bool Admission::make_room(ServerState &loop) const
{
	if (*loop.clients_of_all <= loop.limits.connections)
		return true;
	HttpConnection *idle = loop.longest_idle();
	if (idle != nullptr)
		idle->cut();
	return idle != nullptr;
}

// None is idle here: another loop may have one. Otherwise the new one is closed.
void Admission::pass_on(Place client, Socket socket, std::size_t tries) const
{
	if (tries == loops_.size())
		return;
	const auto here = std::ranges::find(loops_, client.state());
	const auto &next = here + 1 == loops_.end() ? loops_.front() : here[1];
	boost::system::error_code error;
	const auto protocol = socket.local_endpoint(error).protocol();
	if (error)
		return;
	Socket moved(next->context);
	const int descriptor = socket.release(error);
	if (error)
		return;
	if (moved.assign(protocol, descriptor, error)) {
		::close(descriptor);
		return;
	}
	serve(Place(next), std::move(moved), tries + 1);
}

} // namespace sidecar::server
