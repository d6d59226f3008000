#include "http/parameters.hpp"

#include "common/ascii.hpp"
#include "common/printable.hpp"
#include "common/secret_string.hpp"

#include <algorithm>

namespace sidecar::http
{

namespace
{

// No provider sends a dozen, and the search for doubled names is quadratic.
constexpr std::size_t kMaxParameters = 64;
constexpr std::size_t kUsualParameters = 6; // or fewer

constexpr char kHexDigits[] = "0123456789ABCDEF";

int hex_value(char c) noexcept
{
	if (common::is_digit(c))
		return c - '0';
	const char lower = common::to_lower(c);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool is_unreserved(char c) noexcept
{
	return common::is_digit(c) || common::is_letter(c) || c == '-' || c == '.' || c == '_' ||
		   c == '~';
}

// Reserves the longest possible size first: the text may be secret, and a string that grows
// leaves copies in memory.
std::string encode(std::string_view text, bool plus_for_space)
{
	std::string out;
	out.reserve(text.size() * 3);
	for (const char c : text) {
		if (is_unreserved(c)) {
			out += c;
		} else if (c == ' ' && plus_for_space) {
			out += '+';
		} else {
			const auto byte = static_cast<unsigned char>(c);
			out += '%';
			out += kHexDigits[byte >> 4];
			out += kHexDigits[byte & 15];
		}
	}
	return out;
}

Parameters::Fault fault_of(std::string_view text, std::size_t max) noexcept
{
	using Fault = Parameters::Fault;
	if (text.size() > max)
		return Fault::too_long;
	if (common::is_all_printable(text))
		return Fault::none;
	if (!common::is_utf8(text))
		return Fault::bad_utf8;
	return std::ranges::any_of(text, common::is_control) ? Fault::control_character : Fault::none;
}

// Writes the text decoded, which is not longer, to `out`. Returns where it ends there; null if an
// escape is malformed.
char *decode(std::string_view text, bool plus_is_space, char *out) noexcept
{
	// Nearly all begin with a run of what stands for itself, and end with it.
	const std::size_t plain = std::min({text.find('%'), text.find('+'), text.size()});
	out = std::copy_n(text.data(), plain, out);
	for (std::size_t i = plain; i < text.size(); i++) {
		if (text[i] == '+' && plus_is_space) {
			*out++ = ' ';
		} else if (text[i] != '%') {
			*out++ = text[i];
		} else {
			const int high = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
			const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
			if (high < 0 || low < 0)
				return nullptr;
			*out++ = static_cast<char>(high << 4 | low);
			i += 2;
		}
	}
	return out;
}

} // namespace

std::string percent_encode(std::string_view text)
{
	return encode(text, false);
}

std::string form_encode(std::string_view text)
{
	return encode(text, true);
}

void append_form(std::string &out, std::string_view name, std::string_view value)
{
	if (!out.empty())
		out += '&';
	out += form_encode(name);
	out += '=';
	out += form_encode(value);
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space)
{
	std::string out(text.size(), '\0');
	const char *const end = decode(text, plus_is_space, out.data());
	if (end == nullptr)
		return std::nullopt;
	out.resize(static_cast<std::size_t>(end - out.data()));
	return out;
}

Parameters Parameters::parse(std::string_view query, std::size_t max_value)
{
	return read(query, max_value, nullptr);
}

Parameters Parameters::parse_only(std::string_view query, const Wanted &wanted,
								  std::size_t max_value)
{
	return read(query, max_value, &wanted);
}

Parameters Parameters::read(std::string_view query, std::size_t max_value, const Wanted *wanted)
{
	Parameters parsed;
	parsed.text_.resize(query.size());
	parsed.end_ = parsed.text_.data();
	parsed.pairs_.reserve(kUsualParameters);
	while (parsed.fault_ == Fault::none && !query.empty()) {
		const std::string_view piece = query.substr(0, query.find('&'));
		query.remove_prefix(std::min(query.size(), piece.size() + 1));
		if (!piece.empty())
			parsed.fault_ = parsed.add(piece, max_value, wanted);
	}
	return parsed;
}

Parameters::Fault Parameters::add(std::string_view piece, std::size_t max_value,
								  const Wanted *wanted)
{
	const std::size_t equals = std::min(piece.find('='), piece.size());
	char *const name_end = decode(piece.substr(0, equals), true, end_);
	const auto text = [](const char *begin, const char *end) {
		return std::string_view(begin, static_cast<std::size_t>(end - begin));
	};
	const std::string_view name = name_end != nullptr ? text(end_, name_end) : std::string_view();
	if (wanted != nullptr && (name_end == nullptr || !wanted->has(name)))
		return Fault::none;
	if (name_end == nullptr)
		return Fault::bad_escape;
	if (const Fault fault = fault_of(name, max_value); fault != Fault::none)
		return fault;
	faulty_ = name; // until its value has passed
	if (has(name))
		return Fault::doubled;
	if (pairs_.size() == kMaxParameters)
		return Fault::too_many;
	const std::string_view raw = piece.substr(std::min(equals + 1, piece.size()));
	char *value_end = decode(raw, true, name_end);
	Fault fault =
		value_end != nullptr ? fault_of(text(name_end, value_end), max_value) : Fault::bad_escape;
	if (wanted != nullptr && wanted->is_prose(name) && fault != Fault::too_long) {
		if (value_end == nullptr)
			value_end = std::ranges::copy(raw, name_end).out;
		fault = Fault::none;
	}
	if (fault != Fault::none)
		return fault;
	pairs_.emplace_back(name, text(name_end, value_end));
	end_ = value_end;
	faulty_ = {};
	return Fault::none;
}

bool Parameters::Wanted::has(std::string_view name) const noexcept
{
	return std::ranges::find(names, name) != names.end() || is_prose(name);
}

bool Parameters::Wanted::is_prose(std::string_view name) const noexcept
{
	return std::ranges::find(prose, name) != prose.end();
}

void Parameters::clear() noexcept
{
	common::wipe(text_.data(), text_.size());
	text_ = std::vector<char>();
	pairs_ = Pairs();
	faulty_ = {};
}

bool Parameters::has(std::string_view name) const noexcept
{
	return get(name).has_value();
}

std::optional<std::string_view> Parameters::get(std::string_view name) const noexcept
{
	for (const auto &[key, value] : pairs_)
		if (key == name)
			return value;
	return std::nullopt;
}

} // namespace sidecar::http
