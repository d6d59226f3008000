#include "server/connection.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <iterator>
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

constexpr std::size_t kMaxLoggedPath = 256;
constexpr std::size_t kMaxLingering = 256 * 1024; // bytes read and dropped before closing
constexpr int kMaxWriteLimits = 6;                // of a slow reader who does make progress

std::string_view known_method(std::string_view method)
{
	static constexpr std::string_view kKnown[] = {"GET",   "HEAD",    "POST",    "PUT",  "DELETE",
												  "PATCH", "OPTIONS", "CONNECT", "TRACE"};
	const auto found = std::find(std::begin(kKnown), std::end(kKnown), method);
	return found == std::end(kKnown) ? "other" : *found;
}

class Counted
{
public:
	explicit Counted(int &count) : count_(count) { count_++; }
	~Counted() { count_--; }
	Counted(const Counted &) = delete;
	Counted &operator=(const Counted &) = delete;

private:
	int &count_;
};

// The text of an answer may hold a token.
struct Wiped {
	explicit Wiped(std::string wiped) : text(std::move(wiped)) {}
	~Wiped() { wipe(text); }
	Wiped(const Wiped &) = delete;
	Wiped &operator=(const Wiped &) = delete;
	std::string text;
};

} // namespace

HttpConnection::Exchange::Exchange(std::string request_id, const http::Request &request)
	: id(std::move(request_id)), path(request.path, 0, kMaxLoggedPath),
	  method(known_method(request.method)), is_head(method == "HEAD"),
	  begin(ConnectionTimeouts::Clock::now())
{
}

HttpConnection::HttpConnection(std::shared_ptr<ServerState> state, Socket socket, SSL_CTX *tls,
							   http::Audience audience)
	: state_(std::move(state)), stream_(std::move(socket), tls), audience_(audience),
	  place_(state_->timeouts.join(*this))
{
}

HttpConnection::~HttpConnection()
{
	end();
}

asio::awaitable<void> HttpConnection::run(std::shared_ptr<HttpConnection> self)
{
	try {
		bool goes_on = true;
		if (self->stream_.is_tls())
			goes_on = co_await self->secure();
		while (goes_on) {
			// Nothing is held while there is nothing to read. One who sends request
			// after request without a pause lets the others have their turn.
			if (self->buffer_.empty() && !self->stream_.has_pending()) {
				self->enter(Phase::idle);
				co_await self->stream_.wait(Want::read);
			} else {
				co_await asio::post(self->state_->context, asio::deferred);
			}
			goes_on = co_await self->exchange(self->is_late_);
		}
	} catch (...) {
		log::error("a connection failed");
	}
	if (!self->is_taken_over_)
		self->end();
}

asio::awaitable<bool> HttpConnection::secure()
{
	enter(Phase::handshake);
	Step step = stream_.handshake();
	while (step.want != Want::nothing) {
		co_await stream_.wait(step.want);
		if (is_late_)
			co_return false;
		step = stream_.handshake();
	}
	co_return !step.is_over;
}

// One request and its answer; true if another may follow. The last chance of an
// idle connection is what has already arrived.
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
	http::Request request = reader.take();
	const Exchange exchange(state_->request_ids.next(), request);
	current_ = &exchange;
	http::Response response = co_await handled(std::move(request), exchange.id);
	current_ = nullptr;
	if (is_taken_over_)
		co_return false;
	// A request that is waiting behind this one is answered, even when draining.
	const bool is_end = is_last || (state_->is_draining && buffer_.empty());
	const bool closes = is_end || !reader.keep_alive();
	observe(exchange, response);
	const bool is_sent = co_await send(response, exchange, closes);
	if (is_sent && closes && !buffer_.empty())
		co_await linger();
	co_return is_sent && !closes;
}

asio::awaitable<HttpConnection::Outcome> HttpConnection::receive(RequestReader &reader,
																 bool is_last)
{
	enter(Phase::request);
	bool has_begun = !buffer_.empty();
	auto state = has_begun ? reader.feed(buffer_) : RequestReader::State::more;
	while (state == RequestReader::State::more) {
		const Buffer::Room room = buffer_.room();
		const Step step = stream_.read(room.data, room.size);
		if (step.is_over || (step.want != Want::nothing && is_last && !has_begun))
			co_return Outcome::gone;
		if (step.want != Want::nothing) {
			buffer_.trim();
			co_await stream_.wait(step.want);
			if (is_late_)
				co_return has_begun ? Outcome::late : Outcome::gone;
			continue;
		}
		has_begun = true;
		buffer_.added(step.bytes);
		state = reader.feed(buffer_);
	}
	buffer_.trim();
	co_return state == RequestReader::State::whole ? Outcome::whole : Outcome::refused;
}

// Whatever becomes of the client, the handler comes to its end: it may be in
// the middle of a transaction.
asio::awaitable<http::Response> HttpConnection::handled(http::Request request,
														const std::string &id)
{
	enter(Phase::handler);
	const Counted counted(state_->requests);
	request.id = id;
	request.audience = audience_;
	try {
		auto answer = state_->handler(std::move(request));
		co_return co_await std::move(answer);
	} catch (...) {
		// Not what it says: that may hold anything.
		log::error("the handler of a request failed", {{"request_id", id}});
	}
	co_return state_->refusal(500, id);
}

asio::awaitable<void> HttpConnection::refuse(RequestReader &reader, Outcome outcome)
{
	const bool is_late = outcome == Outcome::late;
	const http::Request request = reader.take();
	const Exchange exchange(state_->request_ids.next(), request);
	const http::Response response = state_->refusal(is_late ? 408 : reader.status(), exchange.id);
	observe(exchange, response);
	const bool is_sent = co_await send(response, exchange, true);
	// Who was slow has had his time.
	if (is_sent && !is_late)
		co_await linger();
}

// The handler has taken too long: its answer will be dropped, this one is sent.
asio::awaitable<void> HttpConnection::answer_late(std::shared_ptr<HttpConnection> self)
{
	// The original goes when the handler ends.
	const Exchange exchange = *self->current_;
	try {
		const http::Response response = self->state_->refusal(503, exchange.id);
		self->observe(exchange, response);
		co_await self->send(response, exchange, true);
	} catch (...) {
		log::error("a connection failed");
	}
	self->end();
}

asio::awaitable<bool> HttpConnection::send(const http::Response &response, const Exchange &exchange,
										   bool closes)
{
	const AnswerKind kind{exchange.id, exchange.is_head, closes};
	const Wiped answer(answer_text(response, kind));
	const std::string_view text = answer.text;
	const auto end = ConnectionTimeouts::Clock::now() + kMaxWriteLimits * state_->limits.write;
	std::size_t sent = 0;
	while (sent < text.size()) {
		const Step step = stream_.write(text.data() + sent, text.size() - sent);
		if (step.is_over)
			co_return false;
		sent += step.bytes;
		if (phase_ != Phase::write || step.bytes > 0)
			enter(Phase::write);
		if (step.want == Want::nothing)
			continue;
		co_await stream_.wait(step.want);
		if (is_late_ || ConnectionTimeouts::Clock::now() > end)
			co_return false;
	}
	if (closes)
		stream_.finish();
	co_return true;
}

// Closing with unread bytes resets the connection, and the other end may lose
// the answer; so they are read, for a while.
asio::awaitable<void> HttpConnection::linger()
{
	enter(Phase::linger);
	std::size_t dropped = 0;
	while (dropped < kMaxLingering) {
		buffer_.consume(buffer_.data().size());
		const Buffer::Room room = buffer_.room();
		const Step step = stream_.read(room.data, room.size);
		if (step.is_over)
			co_return;
		buffer_.added(step.bytes);
		dropped += step.bytes;
		if (step.want == Want::nothing)
			continue;
		co_await stream_.wait(step.want);
		if (is_late_)
			co_return;
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
	state_->timeouts.move(phase_, phase, place_);
	phase_ = phase;
	since_ = ConnectionTimeouts::Clock::now();
	is_late_ = false;
}

void HttpConnection::observe(const Exchange &exchange, const http::Response &response)
{
	if (!state_->observer)
		return;
	const auto taken = ConnectionTimeouts::Clock::now() - exchange.begin;
	const AccessRecord served{
		exchange.id,     exchange.method,
		exchange.path,   response.endpoint,
		response.status, std::chrono::duration_cast<std::chrono::microseconds>(taken)};
	state_->observer(served);
}

void HttpConnection::end() noexcept
{
	if (is_over_)
		return;
	is_over_ = true;
	stream_.close();
	state_->timeouts.leave(phase_, place_);
}

} // namespace sidecar::server
