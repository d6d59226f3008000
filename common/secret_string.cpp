#include "common/secret_string.hpp"

#include <openssl/crypto.h>

#include <utility>

namespace common
{

Secret Secret::take(std::string &text)
{
	Secret taken;
	taken.text_ = std::move(text);
	common::wipe(text);
	return taken;
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

void Secret::reserve(std::size_t bytes)
{
	if (bytes <= text_.capacity())
		return;
	std::string grown;
	grown.reserve(bytes);
	grown = text_;
	wipe();
	text_ = std::move(grown);
}

bool Secret::equals(std::string_view other) const noexcept
{
	return text_.size() == other.size() &&
		   CRYPTO_memcmp(text_.data(), other.data(), other.size()) == 0;
}

} // namespace common
