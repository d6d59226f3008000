// Query parameters, decoded once (URL Standard, application/x-www-form-urlencoded).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/utf8.hpp"

namespace sidecar::http
{

class Parameters
{
public:
	enum class Fault { none, bad_escape, bad_utf8, control_character, doubled, too_many, too_long };

	// Refuses a query with a malformed escape, bytes that are not UTF-8, a
	// control character (NUL included), a name that comes twice, more than 64
	// parameters, or a value over `max_value` bytes.
	static Parameters parse(std::string_view query, std::size_t max_value = 8192);

	// The parameters that we read. `prose` are texts for people: any bytes are accepted, and if
	// an escape is malformed, the value stays as it was sent.
	struct Wanted {
		std::vector<std::string_view> names;
		std::vector<std::string_view> prose;

		bool has(std::string_view name) const noexcept;
		bool is_prose(std::string_view name) const noexcept;
	};
	// The same for these parameters only. All others are ignored, even if they are doubled or
	// malformed: in addresses of browsers, providers, mail programs and trackers add parameters
	// of their own.
	static Parameters parse_only(std::string_view query, const Wanted &wanted,
								 std::size_t max_value = 8192);
	Parameters(Parameters &&) = default;
	~Parameters() { clear(); }
	void clear() noexcept; // wipes them, and frees their memory

	Fault fault() const noexcept { return fault_; }
	// The name at fault, as it came from outside.
	std::string_view faulty() const noexcept { return faulty_; }

	bool has(std::string_view name) const noexcept;
	// Nothing if the parameter is absent; empty if it has no value.
	std::optional<std::string_view> get(std::string_view name) const noexcept;
	using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;
	const Pairs &all() const noexcept { return pairs_; }

private:
	Parameters() = default;
	static Parameters read(std::string_view query, std::size_t max_value, const Wanted *wanted);
	Fault add(std::string_view piece, std::size_t max_value, const Wanted *wanted);

	// All names and values, decoded. (A vector, because that keeps its memory when it is moved.)
	std::vector<char> text_;
	char *end_ = nullptr; // of what is written in it
	Pairs pairs_;
	Fault fault_ = Fault::none;
	std::string_view faulty_;
};

// Percent-encodes everything except unreserved characters (RFC 3986 section 2.3).
std::string percent_encode(std::string_view text);
// application/x-www-form-urlencoded: as above, with '+' for a space.
std::string form_encode(std::string_view text);
void append_form(std::string &out, std::string_view name, std::string_view value);

// Decodes one value. Nothing if an escape is malformed.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

} // namespace sidecar::http
