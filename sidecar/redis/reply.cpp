#include "redis/reply.hpp"

#include <algorithm>
#include <utility>

namespace sidecar::redis
{

namespace
{

constexpr std::size_t kMaxReserved = 1024; // an array is announced before it comes
constexpr std::size_t kMaxCode = 32;

} // namespace

Reply::Memory Reply::memory_for(std::size_t size)
{
	return Memory(new char[size], Wipe{size});
}

Reply Reply::of_text(Kind kind, std::string_view text)
{
	Reply reply;
	reply.kind_ = kind;
	reply.memory_ = memory_for(text.size());
	std::copy_n(text.data(), text.size(), reply.memory_.get());
	reply.text_ = {reply.memory_.get(), text.size()};
	return reply;
}

Reply Reply::of_integer(long long value)
{
	Reply reply;
	reply.kind_ = Kind::integer;
	reply.integer_ = value;
	return reply;
}

Reply Reply::of_array(std::size_t expected)
{
	Reply reply;
	reply.kind_ = Kind::array;
	reply.elements_.reserve(std::min(expected, kMaxReserved));
	return reply;
}

Reply Reply::of_texts(std::span<const Text> texts)
{
	std::size_t size = 0;
	for (const Text &text : texts)
		size += text ? text->size() : 0;
	Reply array = of_array(texts.size());
	array.memory_ = memory_for(size);
	char *at = array.memory_.get();
	for (const Text &text : texts) {
		Reply &element = array.elements_.emplace_back();
		if (!text)
			continue;
		element.kind_ = Kind::text;
		element.text_ = {at, text->size()};
		at = std::copy_n(text->data(), text->size(), at);
	}
	return array;
}

std::string_view Reply::error_code() const noexcept
{
	if (!is_error())
		return {};
	const std::string_view word = text().substr(0, text().find(' '));
	const bool is_code = !word.empty() && word.size() <= kMaxCode &&
						 std::all_of(word.begin(), word.end(), [](char c) {
							 return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
						 });
	return is_code ? word : "ERR";
}

const Reply &Reply::operator[](std::size_t i) const noexcept
{
	static const Reply nil;
	return i < elements_.size() ? elements_[i] : nil;
}

Reply &Reply::add(Reply element)
{
	return elements_.emplace_back(std::move(element));
}

} // namespace sidecar::redis
