// Makes a provider's text fit for the log: printable, short, and without secrets that it may
// echo.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::oauth
{

class Redactor
{
public:
	Redactor() = default;
	Redactor(const Redactor &) = delete;
	Redactor &operator=(const Redactor &) = delete;
	~Redactor();

	// A text to hide, as it is and as forms, URLs and JSON write it. If there are very many,
	// nothing is shown at all.
	void hide(std::string_view secret);

	// At most `max` characters of the text, valid UTF-8 on one line. If eight letters and digits
	// in a row are part of a secret, the whole word is replaced, also if other characters are
	// between them. So is everything that looks like a token.
	std::string clean(std::string_view text, std::size_t max) const;

private:
	void hide_form(std::string_view secret);
	std::vector<bool> find(std::string_view text) const;

	// Eight letters and digits of a secret, in lower case, packed; sorted before use.
	mutable std::vector<std::uint64_t> windows_;
	mutable bool is_sorted_ = true;
	std::vector<common::Secret> short_; // shorter secrets
	bool hides_all_ = false;            // there were too many
};

} // namespace sidecar::oauth
