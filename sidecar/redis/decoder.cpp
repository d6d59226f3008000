#include "redis/decoder.hpp"

#include <hiredis/read.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "common/ascii.hpp"

extern "C" {
#include <hiredis/sds.h>
}

namespace sidecar::redis
{

namespace
{

constexpr std::size_t kFirstCapacity = 16 << 10;
constexpr std::size_t kMaxElements = 1'000'000; // of one array
constexpr int kMaxDepth = 7;

// hiredis calls these, and exceptions must not pass through it. Null means that there is no
// memory.
void *place(const redisReadTask *task, Reply reply) noexcept
try {
	if (task->parent != nullptr)
		return &static_cast<Reply *>(task->parent->obj)->add(std::move(reply));
	Reply &root = *static_cast<Reply *>(task->privdata);
	root = std::move(reply);
	return &root;
} catch (const std::bad_alloc &) {
	return nullptr;
}

void *make_text(const redisReadTask *task, char *text, std::size_t size) noexcept
try {
	const Reply::Kind kind = task->type == REDIS_REPLY_STATUS  ? Reply::Kind::status
							 : task->type == REDIS_REPLY_ERROR ? Reply::Kind::error
															   : Reply::Kind::text;
	return place(task, Reply::of_text(kind, {text, size}));
} catch (const std::bad_alloc &) {
	return nullptr;
}

void *make_array(const redisReadTask *task, std::size_t elements) noexcept
try {
	int depth = 0;
	for (const redisReadTask *above = task; above != nullptr; above = above->parent)
		depth++;
	if (depth > kMaxDepth || elements > kMaxElements)
		return nullptr;
	return place(task, Reply::of_array(elements));
} catch (const std::bad_alloc &) {
	return nullptr;
}

void *make_integer(const redisReadTask *task, long long value) noexcept
{
	return place(task, Reply::of_integer(value));
}

void *make_nil(const redisReadTask *task) noexcept
{
	return place(task, Reply());
}

// Later releases know more kinds, which Redis sends only on request, and count elements in
// another type.
template <typename Functions>
Functions functions()
{
	Functions made{};
	made.createString = make_text;
	made.createArray = [](const redisReadTask *task, auto elements) -> void * {
		return make_array(task, static_cast<std::size_t>(elements));
	};
	made.createInteger = make_integer;
	made.createNil = make_nil;
	made.freeObject = [](void *) {};
	if constexpr (requires { made.createDouble; })
		made.createDouble = [](const redisReadTask *, double, char *, std::size_t) -> void * {
			return nullptr;
		};
	if constexpr (requires { made.createBool; })
		made.createBool = [](const redisReadTask *, int) -> void * { return nullptr; };
	return made;
}

redisReplyObjectFunctions kFunctions = functions<redisReplyObjectFunctions>();

constexpr std::string_view kLineEnd = "\r\n";

// Takes a line such as "$12" from the front. Nothing if it is not there as Redis writes it, or has
// more digits than a text of one read.
std::optional<std::size_t> take_size(std::string_view &bytes, char kind) noexcept
{
	constexpr std::size_t kMaxDigits = 6;
	const std::string_view line = bytes.substr(0, 1 + kMaxDigits);
	if (!line.starts_with(kind))
		return std::nullopt;
	std::size_t end = 1, size = 0;
	for (; end < line.size() && common::is_digit(line[end]); end++)
		size = size * 10 + static_cast<std::size_t>(line[end] - '0');
	const bool is_number = end == 2 || (end > 2 && line[1] != '0');
	if (!is_number || !bytes.substr(end).starts_with(kLineEnd))
		return std::nullopt;
	bytes.remove_prefix(end + kLineEnd.size());
	return size;
}

// Takes a text or nil from the front; false if it is neither, or not all there.
bool take_text(std::string_view &bytes, Reply::Text &text) noexcept
{
	constexpr std::string_view kNil = "$-1\r\n";
	if (bytes.starts_with(kNil)) {
		bytes.remove_prefix(kNil.size());
		return true;
	}
	const auto size = take_size(bytes, '$');
	if (!size || bytes.size() < *size || !bytes.substr(*size).starts_with(kLineEnd))
		return false;
	text = bytes.substr(0, *size);
	bytes.remove_prefix(*size + kLineEnd.size());
	return true;
}

} // namespace

void Decoder::Free::operator()(redisReader *reader) const noexcept
{
	redisReaderFree(reader);
}

Decoder::Decoder(std::size_t max_reply)
	: max_reply_(max_reply), reader_(redisReaderCreateWithFunctions(&kFunctions))
{
	if (!reader_)
		throw std::bad_alloc();
	reader_->privdata = &root_;
	reader_->maxbuf = 0; // it would free its buffer without wiping it
}

Decoder::~Decoder()
{
	reader_->pos = reader_->len;
	wipe();
}

// sdscatlen() would move the bytes by realloc(), which leaves a copy behind.
void Decoder::feed(std::string_view bytes)
{
	redisReader &reader = *reader_;
	if (has_failed_ || bytes.empty())
		return;
	taken_ += bytes.size();
	if (sdsavail(reader.buf) < bytes.size()) {
		sds larger =
			sdsMakeRoomFor(sdsempty(), std::max(reader.len + bytes.size(), kFirstCapacity));
		if (larger == nullptr)
			throw std::bad_alloc();
		larger = sdscatlen(larger, reader.buf, reader.len);
		OPENSSL_cleanse(reader.buf, written_);
		sdsfree(std::exchange(reader.buf, larger));
		written_ = reader.len;
	}
	has_failed_ = redisReaderFeed(&reader, bytes.data(), bytes.size()) != REDIS_OK;
	written_ = std::max<std::size_t>(written_, reader.len);
}

std::optional<Reply> Decoder::take_texts(std::string_view &bytes)
{
	std::array<Reply::Text, 8> texts;
	std::string_view rest = bytes;
	const bool is_between = taken_ == 0 && !has_failed_;
	const auto size = is_between ? take_size(rest, '*') : std::nullopt;
	if (!size || *size > texts.size())
		return std::nullopt;
	for (std::size_t i = 0; i < *size; i++)
		if (!take_text(rest, texts[i]))
			return std::nullopt;
	if (bytes.size() - rest.size() > max_reply_)
		return std::nullopt;
	bytes = rest;
	return Reply::of_texts({texts.data(), *size});
}

std::optional<Reply> Decoder::next()
{
	void *done = nullptr;
	if (has_failed_ || redisReaderGetReply(reader_.get(), &done) != REDIS_OK) {
		has_failed_ = true;
		return std::nullopt;
	}
	if (done == nullptr) {
		wipe();
		has_failed_ = taken_ > max_reply_;
		return std::nullopt;
	}
	taken_ = reader_->len - reader_->pos;
	return std::move(root_);
}

// Bytes that were read are before the rest, and copies of moved ones behind it. After bytes
// that are not the protocol, hiredis has freed all of them.
void Decoder::wipe() noexcept
{
	const redisReader &reader = *reader_;
	if (reader.buf == nullptr)
		return;
	OPENSSL_cleanse(reader.buf, reader.pos);
	if (written_ > reader.len)
		OPENSSL_cleanse(reader.buf + reader.len, written_ - reader.len);
	written_ = reader.len;
}

} // namespace sidecar::redis
