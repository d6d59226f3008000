// Received bytes that are not yet consumed, at most a request's head. It allocates when there
// is something to read, so an idle connection costs no memory.
#pragma once

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <memory>
#include <string_view>

#include "common/wipe.hpp"
#include "http/request.hpp"

namespace sidecar::server
{

// Wipes memory before it is freed: codes, cookies and keys passed through it.
template <typename T>
struct WipingAllocator {
	using value_type = T;

	WipingAllocator() = default;
	template <typename Other>
	WipingAllocator(const WipingAllocator<Other> &) noexcept
	{
	}
	T *allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
	void deallocate(T *memory, std::size_t count) noexcept
	{
		common::wipe(memory, count * sizeof(T));
		std::allocator<T>().deallocate(memory, count);
	}
	bool operator==(const WipingAllocator &) const noexcept { return true; }
};

class Buffer
{
public:
	std::string_view data() const noexcept
	{
		return {static_cast<const char *>(bytes_.cdata().data()), bytes_.size()};
	}
	bool empty() const noexcept { return bytes_.size() == 0; }
	// There is no more room.
	bool full() const noexcept { return bytes_.size() == bytes_.max_size(); }

	// Where to read into; at least one byte unless it is full.
	boost::asio::mutable_buffer room()
	{
		const std::size_t more = std::max(kRoom, bytes_.capacity() - bytes_.size());
		return bytes_.prepare(std::min(more, bytes_.max_size() - bytes_.size()));
	}
	void added(std::size_t bytes) noexcept { bytes_.commit(bytes); }
	void consume(std::size_t bytes) noexcept { bytes_.consume(bytes); }
	// Frees the memory if it is empty.
	void trim()
	{
		if (empty())
			bytes_.shrink_to_fit();
	}

private:
	static constexpr std::size_t kRoom = 512; // more than most requests

	boost::beast::basic_flat_buffer<WipingAllocator<char>> bytes_{http::kMaxHeaderBytes};
};

} // namespace sidecar::server
