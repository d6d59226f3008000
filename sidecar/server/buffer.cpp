#include "server/buffer.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>

#include "http/request.hpp"

namespace sidecar::server
{

namespace
{

constexpr std::size_t kFirst = 2048; // more than most requests

} // namespace

bool Buffer::full() const noexcept
{
	return end_ - begin_ >= http::kMaxHeaderBytes;
}

Buffer::Room Buffer::room()
{
	if (capacity_ == 0)
		resize(kFirst);
	else if (end_ == capacity_ && begin_ > 0)
		resize(capacity_);
	else if (end_ == capacity_ && capacity_ < http::kMaxHeaderBytes)
		resize(std::min(capacity_ * 4, http::kMaxHeaderBytes));
	return {memory_.get() + end_, capacity_ - end_};
}

// Moves what is there to the front of memory of that size.
void Buffer::resize(std::size_t capacity)
{
	auto fresh = std::make_unique_for_overwrite<char[]>(capacity);
	const std::size_t size = end_ - begin_;
	if (size > 0)
		std::memcpy(fresh.get(), memory_.get() + begin_, size);
	release();
	memory_ = std::move(fresh);
	capacity_ = capacity;
	end_ = size;
}

void Buffer::trim() noexcept
{
	if (empty())
		release();
}

void Buffer::release() noexcept
{
	if (memory_)
		OPENSSL_cleanse(memory_.get(), end_);
	memory_.reset();
	capacity_ = begin_ = end_ = 0;
}

} // namespace sidecar::server
