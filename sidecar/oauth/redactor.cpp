#include "oauth/redactor.hpp"

#include <openssl/crypto.h>

#include <algorithm>

#include "common/ascii.hpp"
#include "common/utf8.hpp"
#include "common/uuid.hpp"
#include "http/parameters.hpp"

namespace sidecar::oauth
{

namespace
{

constexpr std::size_t kWindow = 8; // a shorter text may be an ordinary word
constexpr std::size_t kMaxInput = 8 * 1024;
// An answer that names more secrets only wants to cost us time.
constexpr std::size_t kMaxShort = 64;
constexpr std::size_t kMaxWindows = 256 * 1024;
constexpr std::string_view kRemoved = "[removed]";
// No word and no number is so long.
constexpr std::size_t kTokenLength = 20;

bool is_alphanumeric(char c) noexcept
{
	return common::is_letter(c) || common::is_digit(c);
}

// The characters of a token, except dots and slashes, which addresses have, too.
bool is_token_character(char c) noexcept
{
	return is_alphanumeric(c) || std::string_view("-_+~%").find(c) != std::string_view::npos;
}

// The characters that end a name or a word, and so the part that is hidden with a secret.
bool is_delimiter(char c) noexcept
{
	return std::string_view(" \"'`&,;:=<>()[]{}|").find(c) != std::string_view::npos;
}

// Only letters and digits: quoting, escapes and line breaks do not change them.
struct Skeleton {
	common::Secret text; // in lower case
	std::vector<std::size_t> positions;
};

Skeleton skeleton_of(std::string_view text)
{
	Skeleton skeleton;
	std::string letters;
	letters.reserve(text.size());
	for (std::size_t i = 0; i < text.size(); i++)
		if (is_alphanumeric(text[i])) {
			letters += common::to_lower(text[i]);
			skeleton.positions.push_back(i);
		}
	skeleton.text = common::Secret::take(letters);
	return skeleton;
}

std::uint64_t pack(std::string_view window) noexcept
{
	std::uint64_t packed = 0;
	for (const char c : window)
		packed = packed << 8 | static_cast<unsigned char>(c);
	return packed;
}

bool looks_like_a_token(std::string_view run) noexcept
{
	return run.size() >= kTokenLength && std::ranges::any_of(run, common::is_digit) &&
		   std::ranges::any_of(run, common::is_letter) && !common::is_uuid(run);
}

void hide_range(std::vector<bool> &hidden, std::size_t from, std::size_t to)
{
	std::fill_n(hidden.begin() + static_cast<std::ptrdiff_t>(from), to - from, true);
}

void hide_tokens(std::string_view text, std::vector<bool> &hidden)
{
	for (std::size_t start = 0; start < text.size();) {
		std::size_t end = start;
		while (end < text.size() && is_token_character(text[end]))
			end++;
		if (looks_like_a_token(text.substr(start, end - start)))
			hide_range(hidden, start, end);
		start = std::max(end, start + 1);
	}
}

// Finds the value after `access_token=` and the like, which may be too short to look like a
// token.
void hide_named(std::string_view text, std::vector<bool> &hidden)
{
	constexpr std::string_view kNames[] = {"token",     "secret", "verifier", "password",
										   "assertion", "bearer", "basic"};
	const Skeleton skeleton = skeleton_of(text);
	for (const std::string_view name : kNames)
		for (std::size_t at = 0;
			 (at = skeleton.text.reveal().find(name, at)) != std::string_view::npos;
			 at += name.size()) {
			std::size_t i = skeleton.positions[at + name.size() - 1] + 1;
			const bool is_scheme = name == "bearer" || name == "basic";
			const std::size_t start = i;
			while (i < text.size() && (is_delimiter(text[i]) && text[i] != '&' && text[i] != ','))
				i++;
			const std::string_view between = text.substr(start, i - start);
			if (between.find_first_of(is_scheme ? " " : "=:") == between.npos)
				continue;
			std::size_t end = i;
			while (end < text.size() && !is_delimiter(text[end]))
				end++;
			const std::string_view value = text.substr(i, end - i);
			// "token: expired" says what is wrong; token="expired" is a token.
			const bool is_word = between.find_first_of("=\"'") == between.npos &&
								 std::ranges::all_of(value, [](char c) {
									 return common::is_letter(c) || c == '.' || c == '_';
								 });
			if (!is_word)
				hide_range(hidden, i, end);
		}
}

// One line, without characters that could harm a terminal, and with single spaces.
std::string one_line(std::string_view text)
{
	std::string out;
	while (!text.empty()) {
		const common::Character next = common::first_character(text);
		const bool is_space =
			next.is_valid && (next.code_point == ' ' || !common::is_harmless(next.code_point));
		if (!is_space)
			common::append_utf8(out, next.code_point);
		else if (!out.empty() && out.back() != ' ')
			out += ' ';
		text.remove_prefix(next.length);
	}
	while (out.ends_with(' '))
		out.pop_back();
	return out;
}

std::string cut(const std::string &text, std::size_t max)
{
	std::string_view rest = text;
	for (std::size_t count = 0; count < max && !rest.empty(); count++)
		rest.remove_prefix(common::first_character(rest).length);
	return rest.empty() ? text : text.substr(0, text.size() - rest.size()) + "…";
}

} // namespace

Redactor::~Redactor()
{
	OPENSSL_cleanse(windows_.data(), windows_.size() * sizeof(windows_[0]));
}

void Redactor::hide(std::string_view secret)
{
	if (secret.empty() || hides_all_)
		return;
	hide_form(secret);
	std::string encoded = http::percent_encode(secret);
	if (encoded != secret) {
		hide_form(encoded);
		std::string twice = http::percent_encode(encoded);
		hide_form(twice);
		common::wipe(twice);
	}
	common::wipe(encoded);
	std::string form = http::form_encode(secret);
	hide_form(form);
	common::wipe(form);
}

void Redactor::hide_form(std::string_view secret)
{
	const Skeleton skeleton = skeleton_of(secret);
	const std::string_view letters = skeleton.text.reveal();
	if (letters.size() < kWindow) {
		if (std::ranges::any_of(short_,
								[&](const common::Secret &one) { return one.reveal() == secret; }))
			return;
		hides_all_ = hides_all_ || short_.size() >= kMaxShort;
		if (!hides_all_)
			short_.emplace_back(secret);
		return;
	}
	const std::size_t count = letters.size() - kWindow + 1;
	hides_all_ = hides_all_ || windows_.size() + count > kMaxWindows;
	if (hides_all_)
		return;
	if (windows_.capacity() < windows_.size() + count) { // no copies in freed memory
		std::vector<std::uint64_t> larger;
		larger.reserve((windows_.size() + count) * 2);
		larger.assign(windows_.begin(), windows_.end());
		OPENSSL_cleanse(windows_.data(), windows_.size() * sizeof(windows_[0]));
		windows_.swap(larger);
	}
	for (std::size_t i = 0; i < count; i++)
		windows_.push_back(pack(letters.substr(i, kWindow)));
	is_sorted_ = false;
}

// The bytes of the text to hide.
std::vector<bool> Redactor::find(std::string_view text) const
{
	if (hides_all_)
		return std::vector<bool>(text.size(), true);
	if (!is_sorted_)
		std::ranges::sort(windows_);
	is_sorted_ = true;
	std::vector<bool> hidden(text.size());
	const Skeleton skeleton = skeleton_of(text);
	const std::string_view letters = skeleton.text.reveal();
	for (std::size_t i = 0; i + kWindow <= letters.size(); i++)
		if (std::ranges::binary_search(windows_, pack(letters.substr(i, kWindow))))
			hide_range(hidden, skeleton.positions[i], skeleton.positions[i + kWindow - 1] + 1);
	for (const common::Secret &secret : short_) {
		const std::string_view wanted = secret.reveal();
		for (std::size_t at = 0; (at = text.find(wanted, at)) != text.npos; at++) {
			const bool begins = at == 0 || !is_alphanumeric(text[at - 1]);
			const std::size_t end = at + wanted.size();
			// One or two letters are in many words.
			if (wanted.size() > 3 ||
				(begins && (end == text.size() || !is_alphanumeric(text[end]))))
				hide_range(hidden, at, end);
		}
	}
	hide_tokens(text, hidden);
	hide_named(text, hidden);
	// The rest of the word that contains a part.
	for (std::size_t i = 1; i < text.size(); i++)
		if (hidden[i - 1] && !is_delimiter(text[i]))
			hidden[i] = true;
	for (std::size_t i = text.size(); i-- > 1;)
		if (hidden[i] && !is_delimiter(text[i - 1]))
			hidden[i - 1] = true;
	return hidden;
}

std::string Redactor::clean(std::string_view text, std::size_t max) const
{
	std::string line = one_line(text.substr(0, kMaxInput));
	const std::vector<bool> hidden = find(line);
	std::string out;
	for (std::size_t i = 0; i < line.size(); i++)
		if (!hidden[i])
			out += line[i];
		else if (i == 0 || !hidden[i - 1])
			out += kRemoved;
	common::wipe(line);
	return cut(out, max);
}

} // namespace sidecar::oauth
