#include "common/secret_string.hpp"

#include <openssl/crypto.h>

#include <utility>

namespace common
{

Secret Secret::take(std::string &text)
{
	Secret taken(text);
	common::wipe(text);
	return taken;
}

// A short string is in the object itself, and a move leaves a copy there.
Secret::Secret(Secret &&other) noexcept : text_(std::move(other.text_))
{
	other.wipe();
}

Secret &Secret::operator=(Secret &&other) noexcept
{
	if (this != &other) {
		wipe();
		text_ = std::move(other.text_);
		other.wipe();
	}
	return *this;
}

void Secret::append(std::string_view more)
{
	if (text_.size() + more.size() > text_.capacity()) {
		std::string grown;
		grown.reserve((text_.size() + more.size()) * 2);
		grown = text_;
		wipe();
		text_ = std::move(grown);
	}
	text_.append(more);
}

void Secret::wipe() noexcept
{
	common::wipe(text_);
}

bool Secret::equals(std::string_view other) const noexcept
{
	return text_.size() == other.size() &&
		   CRYPTO_memcmp(text_.data(), other.data(), other.size()) == 0;
}

} // namespace common
