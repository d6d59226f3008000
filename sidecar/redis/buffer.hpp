// Bytes on their way to Redis or from it: they may be tokens, so they are wiped
// when they are done with, and when the memory moves.
#pragma once

#include <string>
#include <string_view>

namespace sidecar::redis
{

class Buffer
{
public:
	Buffer() = default;
	~Buffer() { clear(); }
	Buffer(Buffer &&other) noexcept;
	Buffer &operator=(Buffer &&other) noexcept;

	bool empty() const noexcept { return begin_ == text_.size(); }
	std::size_t size() const noexcept { return text_.size() - begin_; }
	std::string_view view() const noexcept { return std::string_view(text_).substr(begin_); }

	void reserve(std::size_t capacity);
	void append(std::string_view more)
	{
		if (text_.size() + more.size() > text_.capacity())
			grow(more.size());
		text_.append(more);
	}
	// The first bytes are done with.
	void consume(std::size_t bytes) noexcept;
	void clear() noexcept;

private:
	void grow(std::size_t more);
	void move_to(std::size_t capacity);

	std::string text_;
	std::size_t begin_ = 0;
};

} // namespace sidecar::redis
