// Redis' protocol, read: bytes in any pieces go in, replies come out.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "redis/reply.hpp"

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

	// Copies the bytes, which the caller wipes. Let them be few at a time, with
	// all replies taken in between: what is left over is moved with every reply.
	void feed(std::string_view bytes) noexcept;
	// Nothing where more bytes are needed, or the bytes are no replies: see failed().
	std::optional<Reply> next();
	// Bytes came that are none of Redis' protocol, or more than there is room for.
	// For good.
	bool has_failed() const noexcept;

	static constexpr std::size_t kBite = 4096; // a good size to feed

private:
	struct Impl;
	std::unique_ptr<Impl> impl_;
};

} // namespace sidecar::redis
