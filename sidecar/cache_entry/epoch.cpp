#include "cache_entry/epoch.hpp"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <stdexcept>
#include <tuple>

#include <openssl/rand.h>

#include "common/ascii.hpp"
#include "common/digest.hpp"
#include "common/uuid.hpp"

namespace sidecar::cache_entry
{

namespace
{

constexpr std::size_t kIdBytes = 16;
constexpr std::string_view kEvicting = "evicting";
constexpr std::string_view kReady = "ready";

} // namespace

std::string Epoch::text() const
{
	const std::string_view name = state == State::ready ? kReady : kEvicting;
	return id + ' ' + std::string(name) + ' ' + registration_id + ' ' + run_id + ' ' +
		   database.system_identifier + '/' + std::to_string(database.database) + '/' +
		   std::to_string(database.timeline) + '/' + std::to_string(database.started_at);
}

// What text() would not write so is read as something else, or not at all.
std::optional<Epoch> Epoch::parse(std::string_view text)
{
	Epoch epoch;
	char id[33], state[9], registration_id[37], run_id[65], system_identifier[65];
	if (std::sscanf(std::string(text).c_str(),
					"%32s %8s %36s %64[0-9A-Za-z] %64[0-9]/%" SCNu32 "/%" SCNu32 "/%lld", id, state,
					registration_id, run_id, system_identifier, &epoch.database.database,
					&epoch.database.timeline, &epoch.database.started_at) != 8)
		return std::nullopt;
	epoch.id = id;
	epoch.state = state == kReady ? State::ready : State::evicting;
	epoch.registration_id = registration_id;
	epoch.run_id = run_id;
	epoch.database.system_identifier = system_identifier;
	if (!is_epoch_id(epoch.id) || !common::is_lower_case_uuid(epoch.registration_id) ||
		epoch.text() != text)
		return std::nullopt;
	return epoch;
}

bool is_epoch_id(std::string_view text) noexcept
{
	return text.size() == kIdBytes * 2 && std::ranges::all_of(text, common::is_lower_hex);
}

std::string new_epoch_id()
{
	std::array<unsigned char, kIdBytes> bytes;
	if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
		throw std::runtime_error("OpenSSL has no random bytes");
	return common::hex({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
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

} // namespace sidecar::cache_entry
