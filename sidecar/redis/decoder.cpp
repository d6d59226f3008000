#include "redis/decoder.hpp"

#include <hiredis/read.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

namespace sidecar::redis
{

namespace
{

constexpr std::size_t kFirstCapacity = 16 << 10;
constexpr std::size_t kMaxElements = 1'000'000; // of one array
constexpr int kMaxDepth = 7;

struct FreeReader {
	void operator()(redisReader *reader) const noexcept { redisReaderFree(reader); }
};
using Reader = std::unique_ptr<redisReader, FreeReader>;

// hiredis calls these, and exceptions must not pass through it: null tells it
// that there is no memory.
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

Reply::Kind kind_of(int type) noexcept
{
	switch (type) {
	case REDIS_REPLY_STATUS:
		return Reply::Kind::status;
	case REDIS_REPLY_ERROR:
		return Reply::Kind::error;
	default:
		return Reply::Kind::text;
	}
}

void *make_text(const redisReadTask *task, char *text, std::size_t size) noexcept
try {
	return place(task, Reply::of_text(kind_of(task->type), {text, size}));
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

// Later releases know more kinds, which Redis sends to those who ask for them, and
// count elements in another type.
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

Reader make_reader(redisReplyObjectFunctions *functions)
{
	Reader reader(redisReaderCreateWithFunctions(functions));
	if (!reader)
		throw std::bad_alloc();
	reader->maxbuf = 0; // it would free its memory without wiping it
	return reader;
}

} // namespace

struct Decoder::Impl {
	explicit Impl(std::size_t limit)
		: max_reply(limit), table(functions<redisReplyObjectFunctions>()),
		  reader(make_reader(&table))
	{
		reader->privdata = &root;
		grow(kFirstCapacity);
	}
	~Impl()
	{
		reader->pos = reader->len;
		wipe();
	}

	void grow(std::size_t needed);
	void wipe() noexcept;

	const std::size_t max_reply;
	redisReplyObjectFunctions table;
	Reply root;
	Reader reader;
	std::size_t capacity = 0; // that the reader's buffer is known to have
	std::size_t written = 0;  // how far it holds what was not wiped
	std::size_t taken = 0;    // since the last reply
	bool has_failed = false;
};

// The reader would let its buffer grow by realloc, which leaves the old one as it
// is. Another reader, made to have a larger one, gives it in exchange.
void Decoder::Impl::grow(std::size_t needed)
{
	Reader larger = make_reader(nullptr);
	std::string filler(std::max(needed, capacity * 2), '0');
	filler.front() = '+';
	filler.replace(filler.size() - 2, 2, "\r\n");
	void *unused = nullptr;
	const std::string_view left(reader->buf + reader->pos, reader->len - reader->pos);
	if (redisReaderFeed(larger.get(), filler.data(), filler.size()) != REDIS_OK ||
		redisReaderGetReply(larger.get(), &unused) != REDIS_OK ||
		(!left.empty() && redisReaderFeed(larger.get(), left.data(), left.size()) != REDIS_OK))
		throw std::bad_alloc();
	larger->reply = nullptr;
	std::swap(reader->buf, larger->buf);
	OPENSSL_cleanse(larger->buf, std::max(written, reader->len));
	reader->pos = 0;
	reader->len = left.size();
	capacity = filler.size();
	written = left.size();
}

// What was consumed stands before what is left; what was moved, behind it. After
// bytes that are none of the protocol, hiredis has freed all that.
void Decoder::Impl::wipe() noexcept
{
	if (reader->buf == nullptr)
		return;
	OPENSSL_cleanse(reader->buf, reader->pos);
	if (written > reader->len)
		OPENSSL_cleanse(reader->buf + reader->len, written - reader->len);
	written = reader->len;
}

Decoder::Decoder(std::size_t max_reply) : impl_(std::make_unique<Impl>(max_reply)) {}

Decoder::~Decoder() = default;

void Decoder::feed(std::string_view bytes) noexcept
try {
	redisReader &reader = *impl_->reader;
	impl_->taken += bytes.size();
	if (impl_->has_failed || bytes.empty())
		return;
	if (reader.len + bytes.size() > impl_->capacity)
		impl_->grow(reader.len + bytes.size());
	if (redisReaderFeed(&reader, bytes.data(), bytes.size()) != REDIS_OK)
		impl_->has_failed = true;
	impl_->written = std::max<std::size_t>(impl_->written, reader.len);
} catch (const std::bad_alloc &) {
	impl_->has_failed = true;
}

std::optional<Reply> Decoder::next()
{
	redisReader &reader = *impl_->reader;
	void *done = nullptr;
	if (impl_->has_failed || redisReaderGetReply(&reader, &done) != REDIS_OK) {
		impl_->has_failed = true;
		return std::nullopt;
	}
	if (done == nullptr) {
		impl_->wipe();
		impl_->has_failed = impl_->taken > impl_->max_reply;
		return std::nullopt;
	}
	impl_->taken = reader.len - reader.pos;
	return std::move(impl_->root);
}

bool Decoder::has_failed() const noexcept
{
	return impl_->has_failed;
}

} // namespace sidecar::redis
