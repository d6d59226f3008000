#include "redis/buffer.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

namespace sidecar::redis
{

namespace
{

// More than a string keeps in itself, so that a move takes all.
constexpr std::size_t kFirstCapacity = 256;

} // namespace

Buffer::Buffer(Buffer &&other) noexcept
	: text_(std::move(other.text_)), begin_(std::exchange(other.begin_, 0))
{
	other.text_.clear();
}

Buffer &Buffer::operator=(Buffer &&other) noexcept
{
	if (this != &other) {
		clear();
		text_.swap(other.text_);
		begin_ = std::exchange(other.begin_, 0);
	}
	return *this;
}

void Buffer::reserve(std::size_t capacity)
{
	if (capacity > text_.capacity())
		move_to(capacity);
}

void Buffer::grow(std::size_t more)
{
	move_to(std::max({(size() + more) * 2, text_.capacity(), kFirstCapacity}));
}

void Buffer::move_to(std::size_t capacity)
{
	std::string moved;
	moved.reserve(capacity);
	moved.append(view());
	clear();
	text_ = std::move(moved);
}

void Buffer::consume(std::size_t bytes) noexcept
{
	if (bytes >= size())
		return clear();
	OPENSSL_cleanse(text_.data() + begin_, bytes);
	begin_ += bytes;
}

void Buffer::clear() noexcept
{
	if (!text_.empty())
		OPENSSL_cleanse(text_.data(), text_.size());
	text_.clear();
	begin_ = 0;
}

} // namespace sidecar::redis
