#include "server/connection.hpp"

#include <algorithm>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <iterator>
#include <optional>
#include <utility>

#include "base/log.hpp"
#include "base/task.hpp"
#include "common/secret_string.hpp"
#include "server/response_writer.hpp"

namespace sidecar::server
{

namespace
{

namespace asio = boost::asio;

// Its secrets are wiped, and its memory is freed: a client that is slow to read may be served for
// long.
void forget(http::Request &request)
{
	request.wipe();
	const http::Request freed = std::move(request);
}

constexpr std::size_t kMaxLoggedPath = 256;
constexpr std::size_t kMaxLingering = 256 * 1024; // bytes read and dropped before closing
constexpr int kMaxWriteLimits = 6;                // for a slow reader that makes progress

std::string_view known_method(std::string_view method)
{
	static constexpr std::string_view kKnown[] = {"GET",   "HEAD",    "POST",    "PUT",  "DELETE",
												  "PATCH", "OPTIONS", "CONNECT", "TRACE"};
	const auto *found = std::ranges::find(kKnown, method);
	return found == std::end(kKnown) ? "other" : *found;
}

Limits::Time limit_of(Phase phase, const Limits &limits) noexcept
{
	switch (phase) {
	case Phase::handshake:
		return limits.handshake;
	case Phase::idle:
		return limits.idle;
	case Phase::request:
		return limits.header;
	case Phase::handler:
		return limits.handler;
	case Phase::write:
		return limits.write;
	default:
		return limits.linger;
	}
}

} // namespace

HttpConnection::HttpConnection(Place client, Socket socket, SSL_CTX *tls, http::Audience audience)
	: client_(std::move(client)), state_(client_.state()), stream_(std::move(socket), tls),
	  audience_(audience), place_(state_->connections.insert(state_->connections.end(), this))
{
	enter(Phase::idle);
}

HttpConnection::~HttpConnection()
{
	state_->connections.erase(place_);
}

asio::awaitable<void> HttpConnection::run(std::shared_ptr<HttpConnection> self)
{
	try {
		co_await self->serve();
	} catch (...) {
		log::error("a connection failed");
	}
}

asio::awaitable<void> HttpConnection::serve()
{
	if (stream_.is_tls()) {
		enter(Phase::handshake);
		if (!co_await stream_.handshake())
			co_return;
	}
	bool goes_on = true;
	while (goes_on) {
		// No memory is kept while there is nothing to read. A client that sends request after
		// request without a pause must let the others have their turn.
		if (buffer_.empty() && !stream_.has_pending()) {
			enter(Phase::idle);
			co_await stream_.wait_for_data();
		} else {
			co_await asio::post(state_->context, asio::deferred);
		}
		goes_on = co_await exchange(is_late_);
	}
}

// One request and its answer; true if another may follow. If an idle
// connection is ended, a request that has already arrived is still answered. The handler always
// runs to its end, even if the client is gone: it may be in the middle of a transaction.
asio::awaitable<bool> HttpConnection::exchange(bool is_last)
{
	RequestReader reader;
	const Outcome outcome = co_await receive(reader, is_last);
	if (outcome == Outcome::gone)
		co_return false;
	if (outcome != Outcome::whole) {
		co_await refuse(reader, outcome);
		co_return false;
	}
	begin_record(reader.request());
	enter(Phase::handler);
	std::optional<http::Response> response;
	state_->requests++;
	try {
		auto answer = state_->handler(std::move(reader.request()));
		response = co_await std::move(answer);
	} catch (...) {
		// Its message is not logged: it may contain anything.
		log::error("the handler of a request failed",
				   {{"request_id", std::string_view(record_.request_id)}});
	}
	state_->requests--;
	forget(reader.request());
	if (is_taken_over_)
		co_return false;
	if (!response)
		response = state_->refusal(500, record_.request_id);
	// A request behind this one that has arrived is answered, even during the drain.
	const bool is_end = is_last || (state_->is_draining && buffer_.empty());
	const bool closes = is_end || !reader.keep_alive();
	const bool is_sent = co_await send(*response, closes);
	if (is_sent && closes && !buffer_.empty())
		co_await linger();
	co_return is_sent && !closes;
}

asio::awaitable<HttpConnection::Outcome> HttpConnection::receive(RequestReader &reader,
																 bool is_last)
{
	using State = RequestReader::State;
	enter(Phase::request);
	bool has_begun = !buffer_.empty();
	State state = has_begun ? reader.feed(buffer_) : State::more;
	while (state == State::more) {
		const bool may_wait = has_begun || !is_last;
		const std::size_t bytes = co_await stream_.read_some(buffer_.room(), may_wait);
		if (bytes == 0)
			co_return has_begun &&is_late_ ? Outcome::late : Outcome::gone;
		has_begun = true;
		buffer_.added(bytes);
		state = reader.feed(buffer_);
	}
	buffer_.trim();
	co_return state == State::whole ? Outcome::whole : Outcome::refused;
}

asio::awaitable<void> HttpConnection::refuse(RequestReader &reader, Outcome outcome)
{
	const bool is_late = outcome == Outcome::late;
	begin_record(reader.request());
	forget(reader.request());
	const int status = is_late ? 408 : reader.status();
	const http::Response response = state_->refusal(status, record_.request_id);
	const bool is_sent = co_await send(response, true);
	// A client that was slow gets no more time.
	if (is_sent && !is_late)
		co_await linger();
}

// The handler has taken too long: this answer is sent, and the handler's is dropped.
asio::awaitable<void> HttpConnection::answer_late(std::shared_ptr<HttpConnection> self)
{
	try {
		const http::Response response = self->state_->refusal(503, self->record_.request_id);
		co_await self->send(response, true);
	} catch (...) {
		log::error("a connection failed");
	}
	self->stream_.close();
}

asio::awaitable<bool> HttpConnection::send(const http::Response &response, bool closes)
{
	observe(response);
	const common::Secret answer =
		answer_text(response, {record_.request_id, record_.method == "HEAD", closes});
	std::string_view rest = answer.reveal();
	const auto end = Clock::now() + kMaxWriteLimits * state_->limits.write;
	while (!rest.empty()) {
		enter(Phase::write);
		const std::size_t sent = co_await stream_.write_some(asio::buffer(rest));
		if (sent == 0 || Clock::now() > end)
			co_return false;
		rest.remove_prefix(sent);
	}
	if (closes)
		stream_.finish();
	co_return true;
}

// If a connection is closed with unread bytes, it is reset, and the client may lose the
// answer. So they are read, for a while.
asio::awaitable<void> HttpConnection::linger()
{
	enter(Phase::linger);
	std::size_t bytes = 1;
	for (std::size_t dropped = 0; bytes > 0 && dropped < kMaxLingering; dropped += bytes) {
		buffer_.consume(buffer_.data().size());
		bytes = co_await stream_.read_some(buffer_.room());
	}
}

void HttpConnection::expire()
{
	const Phase late = phase_;
	if (late == Phase::handler) {
		is_taken_over_ = true;
		enter(Phase::write);
		start_task(state_->context.get_executor(), "late answer", answer_late(shared_from_this()));
		return;
	}
	enter(Phase::linger);
	is_late_ = true;
	if (late == Phase::linger)
		stream_.close();
	else
		stream_.cancel();
}

void HttpConnection::cut() noexcept
{
	enter(Phase::linger);
	is_late_ = true;
	stream_.close();
}

void HttpConnection::enter(Phase phase) noexcept
{
	auto &all = state_->connections;
	all.splice(all.end(), all, place_);
	phase_ = phase;
	deadline_ = Clock::now() + limit_of(phase, state_->limits);
	is_late_ = false;
}

// The texts keep their memory from one request to the next.
void HttpConnection::begin_record(http::Request &request)
{
	const RequestIds::Id id = state_->request_ids.next();
	record_.request_id.assign(id.data(), id.size());
	record_.method = known_method(request.method);
	record_.path.assign(request.path, 0, kMaxLoggedPath);
	record_.begin = Clock::now();
	request.id = record_.request_id;
	request.audience = audience_;
}

void HttpConnection::observe(const http::Response &response)
{
	record_.endpoint = response.endpoint;
	record_.status = response.status;
	record_.duration =
		std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - record_.begin);
	state_->observer(record_);
}

} // namespace sidecar::server
