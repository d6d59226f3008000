// A string that nobody may see: a token, a code, a client secret. It can be moved, is wiped
// by its destructor, and cannot be printed or logged.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "common/wipe.hpp"

namespace common
{

class Secret
{
public:
	Secret() = default;
	// Copies; the caller wipes the original.
	explicit Secret(std::string_view text) : text_(text) {}
	// Moves the text, and wipes what the move leaves behind.
	static Secret take(std::string &text);

	// A short string is in the object itself, and a move leaves a copy there.
	Secret(Secret &&other) noexcept : text_(std::move(other.text_)) { other.wipe(); }
	Secret &operator=(Secret &&other) noexcept;
	Secret(const Secret &) = delete;
	Secret &operator=(const Secret &) = delete;
	~Secret() { wipe(); }

	bool empty() const noexcept { return text_.empty(); }
	std::size_t size() const noexcept { return text_.size(); }

	// The text itself, for the one call that needs it.
	std::string_view reveal() const noexcept { return text_; }
	const char *c_str() const noexcept { return text_.c_str(); }

	Secret clone() const { return Secret(text_); }
	// Both leave no copies in freed memory.
	void reserve(std::size_t bytes);
	void append(std::string_view more)
	{
		if (text_.size() + more.size() > text_.capacity())
			reserve((text_.size() + more.size()) * 2);
		text_.append(more);
	}
	void wipe() noexcept { common::wipe(text_); }

	// In constant time for texts of one length.
	bool equals(std::string_view other) const noexcept;

private:
	std::string text_;
};

} // namespace common
