// Makes a request out of bytes. Knows nothing of sockets or time: bytes in, a
// request or the status of a refusal out.
//
// Beast's parser does the grammar of RFC 9112; what it lets through and a
// server in front of an application should not is refused here: folded
// headers, a missing or doubled Host, any transfer coding but chunked, chunked
// together with a length, and targets that are no path.
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

	// Takes from the buffer what belongs to this request.
	State feed(Buffer &buffer);

	// After `refused`: 400, 413, 414, 417, 431, 501 or 505.
	int status() const noexcept;
	// After `whole`.
	bool keep_alive() const noexcept;
	// The request, once. Its target and method are there after `refused`, too, if
	// the request came that far.
	http::Request take() noexcept;

private:
	class Parser;

	State read_head(Buffer &buffer);
	State read_body(Buffer &buffer);
	State refuse(int status) noexcept;

	std::unique_ptr<Parser> parser_;
	std::size_t searched_ = 0;  // of the head, for its end
	std::size_t body_read_ = 0; // framing included
	bool is_head_read_ = false;
	int status_ = 0;
};

} // namespace sidecar::server
