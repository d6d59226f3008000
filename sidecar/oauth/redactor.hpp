// Makes what a provider says fit for the log: printable, short, and without the
// secrets that it may echo.
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

	// A text that must not be seen: as it is, and as forms, URLs and JSON write it. If
	// there are very many, nothing is shown at all.
	void hide(std::string_view secret);

	// At most `max` characters of the text, valid UTF-8 on one line. Eight letters and
	// digits in a row that are of a secret are replaced, with what they stand in,
	// whatever stands between them; so is what looks like a token of anybody's.
	std::string clean(std::string_view text, std::size_t max) const;

private:
	void hide_form(std::string_view secret);
	std::vector<bool> find(std::string_view text) const;

	// Eight letters and digits of a secret, in lower case, packed; sorted when used.
	mutable std::vector<std::uint64_t> windows_;
	mutable bool is_sorted_ = true;
	std::vector<Secret> short_; // secrets of fewer
	bool hides_all_ = false;    // there were too many
};

} // namespace sidecar::oauth
