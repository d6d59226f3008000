// Makes a request from bytes, or the status to refuse it with. It knows nothing of sockets or
// time.
//
// Beast's parser knows the grammar of RFC 9112. What it accepts, but a server in front of an
// application should not, is refused here: folded headers, a missing or doubled Host, any
// transfer coding except chunked, chunked together with a length, and targets that are no
// path.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http/request.hpp"
#include "server/buffer.hpp"

namespace sidecar::server
{

inline constexpr std::size_t kMaxHeaders = 100;
inline constexpr std::size_t kMaxMethodBytes = 16;

class RequestReader
{
public:
	enum class State { more, whole, refused };

	RequestReader();
	~RequestReader();

	// Consumes the bytes of this request from the buffer.
	State feed(Buffer &buffer);

	// After `refused`: 400, 413, 414, 417, 431, 501 or 505.
	int status() const noexcept;
	// After `whole`.
	bool keep_alive() const noexcept;
	// After `refused`, it has target and method, too, if they were read.
	http::Request &request() noexcept;

private:
	class Parser;

	State read_head(Buffer &buffer);
	State read_body(Buffer &buffer);
	State refuse(int status) noexcept;

	std::unique_ptr<Parser> parser_;
	std::size_t searched_ = 0;  // of the head, for its end
	std::size_t body_read_ = 0; // including framing
	bool is_head_read_ = false;
	int status_ = 0;
};

} // namespace sidecar::server
