// What was received and not yet taken, at most a request's head. Takes memory
// when something is there to read, so that an idle connection costs none, and
// wipes it before giving it back: codes, cookies and keys went through.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace sidecar::server
{

class Buffer
{
public:
	Buffer() = default;
	Buffer(const Buffer &) = delete;
	Buffer &operator=(const Buffer &) = delete;
	~Buffer() { release(); }

	std::string_view data() const noexcept { return {memory_.get() + begin_, end_ - begin_}; }
	bool empty() const noexcept { return begin_ == end_; }
	// Nothing more would fit.
	bool full() const noexcept;

	struct Room {
		char *data;
		std::size_t size;
	};
	// Where to read to; at least one byte unless full.
	Room room();
	void added(std::size_t bytes) noexcept { end_ += bytes; }
	void consume(std::size_t bytes) noexcept { begin_ += bytes; }
	// Gives the memory back if nothing is in it.
	void trim() noexcept;

private:
	void resize(std::size_t capacity);
	void release() noexcept;

	std::unique_ptr<char[]> memory_;
	std::size_t capacity_ = 0;
	std::size_t begin_ = 0;
	std::size_t end_ = 0;
};

} // namespace sidecar::server
