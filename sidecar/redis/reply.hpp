// Redis' answer. Texts may be tokens, and are wiped by the destructor.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/wipe.hpp"

namespace sidecar::redis
{

class Reply
{
public:
	enum class Kind { nil, status, text, integer, array, error };

	Reply() = default; // nil
	static Reply of_text(Kind kind, std::string_view text);
	static Reply of_integer(long long value);
	static Reply of_array(std::size_t expected = 0);
	// An array of texts, and of nil for nothing. All are copied into one piece of memory.
	using Text = std::optional<std::string_view>;
	static Reply of_texts(std::span<const Text> texts);
	Reply(Reply &&) noexcept = default;
	Reply &operator=(Reply &&) noexcept = default;

	Kind kind() const noexcept { return kind_; }
	bool is_nil() const noexcept { return kind_ == Kind::nil; }
	bool is_error() const noexcept { return kind_ == Kind::error; }

	// Of a status, text or error; empty otherwise. An error's may quote the
	// command: for the log, take error_code().
	std::string_view text() const noexcept { return text_; }
	// The first word of an error, such as "WRONGTYPE"; "ERR" if it is no such word.
	std::string_view error_code() const noexcept;

	// 0 if it is no integer.
	long long integer() const noexcept { return integer_; }

	// Of an array. Nil beyond its end, so an answer of another form looks empty.
	std::size_t size() const noexcept { return elements_.size(); }
	const Reply &operator[](std::size_t i) const noexcept;
	// Stays where it is until the next is added.
	Reply &add(Reply element);

private:
	struct Wipe {
		std::size_t size;
		void operator()(char *memory) const noexcept
		{
			common::wipe(memory, size);
			delete[] memory;
		}
	};
	using Memory = std::unique_ptr<char[], Wipe>;
	static Memory memory_for(std::size_t size);

	Kind kind_ = Kind::nil;
	long long integer_ = 0;
	Memory memory_;         // of a text, or of all texts of an array
	std::string_view text_; // in this memory, or in that of the array
	std::vector<Reply> elements_;
};

} // namespace sidecar::redis
