// Redis' protocol, read by hiredis: bytes in any pieces go in, replies come out.
// hiredis leaves bytes that it has read in its memory, so that is wiped here.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "redis/reply.hpp"

struct redisReader;

namespace sidecar::redis
{

class Decoder
{
public:
	// `max_reply`: bytes that a reply may take.
	explicit Decoder(std::size_t max_reply);
	~Decoder();
	Decoder(const Decoder &) = delete;
	Decoder &operator=(const Decoder &) = delete;

	// Copies the bytes, which the caller wipes. All replies are taken before more is fed.
	void feed(std::string_view bytes);
	// If the bytes begin with a whole array of a few texts, and all replies before it were taken:
	// that array, without its bytes being fed. This is what a read of the cache gets, and hiredis
	// takes four times as long. Otherwise nothing, and the bytes are fed as any.
	std::optional<Reply> take_texts(std::string_view &bytes);
	// Nothing if more bytes are needed, or if has_failed().
	std::optional<Reply> next();
	// Bytes came that are not Redis' protocol, or too many. It stays so.
	bool has_failed() const noexcept { return has_failed_; }

private:
	void wipe() noexcept;

	struct Free {
		void operator()(redisReader *reader) const noexcept;
	};

	const std::size_t max_reply_;
	Reply root_; // where the reader builds a reply
	const std::unique_ptr<redisReader, Free> reader_;
	std::size_t written_ = 0; // bytes at the buffer's start that were not wiped
	std::size_t taken_ = 0;   // bytes since the last reply
	bool has_failed_ = false;
};

} // namespace sidecar::redis
