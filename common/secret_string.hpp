// A string that nobody may see: a token, a code, a client secret. It can be moved, is wiped
// by its destructor, and cannot be printed or logged.
#pragma once

#include <string>
#include <string_view>

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

	Secret(Secret &&other) noexcept;
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
	// Appends without leaving copies in freed memory.
	void append(std::string_view more);
	void wipe() noexcept;

	// In constant time for texts of one length.
	bool equals(std::string_view other) const noexcept;

private:
	std::string text_;
};

} // namespace common
