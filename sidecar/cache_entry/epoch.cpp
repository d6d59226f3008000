#include "cache_entry/epoch.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <tuple>

#include <openssl/rand.h>

#include "common/ascii.hpp"
#include "common/digest.hpp"
#include "common/uuid.hpp"

namespace sidecar::cache
{

namespace
{

constexpr std::size_t kIdBytes = 16;
constexpr std::string_view kEvicting = "evicting";
constexpr std::string_view kReady = "ready";
constexpr std::size_t kMaxNameChars = 64; // of a run id, which is 40 hexadecimal digits

// Removes and returns the text up to `separator`, or all of it if there is none. The
// separator is removed, too.
std::string_view take(std::string_view &text, char separator)
{
	const std::string_view taken = text.substr(0, text.find(separator));
	text.remove_prefix(std::min(text.size(), taken.size() + 1));
	return taken;
}

bool is_name(std::string_view text)
{
	return !text.empty() && text.size() <= kMaxNameChars && std::ranges::all_of(text, [](char c) {
		return http::is_letter(c) || http::is_digit(c);
	});
}

template <typename Number>
bool read_number(std::string_view text, Number &number)
{
	const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
	return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

std::optional<DatabaseId> parse_database(std::string_view text)
{
	DatabaseId id;
	id.system_identifier = take(text, '/');
	if (id.system_identifier.empty() || id.system_identifier.size() > kMaxNameChars ||
		!std::ranges::all_of(id.system_identifier, http::is_digit))
		return std::nullopt;
	if (!read_number(take(text, '/'), id.database) || !read_number(take(text, '/'), id.timeline) ||
		!read_number(text, id.started_at))
		return std::nullopt;
	return id;
}

std::string text_of(const DatabaseId &id)
{
	return id.system_identifier + '/' + std::to_string(id.database) + '/' +
		   std::to_string(id.timeline) + '/' + std::to_string(id.started_at);
}

} // namespace

std::string Epoch::text() const
{
	std::string text = id;
	for (const std::string_view part :
		 {state == State::ready ? kReady : kEvicting, std::string_view(registration_id),
		  std::string_view(run_id)})
		(text += ' ') += part;
	return text + ' ' + text_of(database);
}

std::optional<Epoch> Epoch::parse(std::string_view text)
{
	std::string_view rest = text;
	Epoch epoch;
	epoch.id = take(rest, ' ');
	const std::string_view state = take(rest, ' ');
	epoch.state = state == kReady ? State::ready : State::evicting;
	epoch.registration_id = take(rest, ' ');
	epoch.run_id = take(rest, ' ');
	auto database = parse_database(rest);
	if (!is_epoch_id(epoch.id) || (state != kReady && state != kEvicting) ||
		!http::is_lower_case_uuid(epoch.registration_id) || !is_name(epoch.run_id) || !database)
		return std::nullopt;
	epoch.database = std::move(*database);
	// A number may be written in more than one way.
	if (epoch.text() != text)
		return std::nullopt;
	return epoch;
}

bool is_epoch_id(std::string_view text) noexcept
{
	return text.size() == kIdBytes * 2 && std::ranges::all_of(text, http::is_lower_hex);
}

std::string new_epoch_id()
{
	std::array<unsigned char, kIdBytes> bytes;
	if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
		throw std::runtime_error("OpenSSL has no random bytes");
	return oauth::hex({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
}

EpochStatus classify(const Epoch &found, const DatabaseId &database,
					 std::string_view registration_id, std::string_view run_id)
{
	const DatabaseId &other = found.database;
	if (other.system_identifier != database.system_identifier ||
		other.database != database.database)
		return EpochStatus::foreign;
	const auto age = [](const DatabaseId &id) { return std::tuple(id.timeline, id.started_at); };
	if (age(other) > age(database))
		return EpochStatus::deposed;
	return other == database && found.registration_id == registration_id && found.run_id == run_id
			   ? EpochStatus::ours
			   : EpochStatus::take_over;
}

} // namespace sidecar::cache
