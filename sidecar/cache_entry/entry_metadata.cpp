#include "cache_entry/entry_metadata.hpp"

#include <endian.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <tuple>

#include <openssl/crypto.h>

#include "cache_entry/entry.hpp"
#include "cache_entry/epoch.hpp"
#include "common/digest.hpp"

namespace sidecar::cache_entry
{

namespace
{

constexpr std::string_view kNoDetails = "-";
constexpr std::size_t kEpochChars = 32;
constexpr std::size_t kLengthBytes = 8;

using Hex = common::HexDigest;
constexpr std::size_t kDigestChars = std::tuple_size_v<Hex>;

// All lengths come first, so that no two lists of texts hash the same bytes.
Hex digest(const oauth::Identity &identity, std::string_view entry_value)
{
	const std::array<std::string_view, 4> names = {identity.workspace_id, identity.provider,
												   identity.actor_type, identity.actor_id};
	// In one piece, because each that OpenSSL gets costs as much as a hundred bytes.
	std::size_t size = kLengthBytes * (names.size() + 1);
	for (const std::string_view name : names)
		size += name.size();
	std::string head(size, '\0');
	char *out = head.data();
	const auto add_length = [&out](std::uint64_t length) {
		const std::uint64_t big_endian = htobe64(length);
		out = std::copy_n(reinterpret_cast<const char *>(&big_endian), kLengthBytes, out);
	};
	for (const std::string_view name : names)
		add_length(name.size());
	add_length(entry_value.size());
	for (const std::string_view name : names)
		out = std::copy_n(name.data(), name.size(), out);
	return common::hex(common::sha256({head, entry_value}));
}

std::string_view view(const Hex &hex) noexcept
{
	return {hex.data(), hex.size()};
}

} // namespace

std::string EntryMetadataFormat::write(std::string_view epoch_id, const oauth::Identity &identity,
									   std::string_view entry_value, std::string_view details) const
{
	const Hex hex = digest(identity, entry_value);
	std::string text(epoch_id);
	((text += ' ') += view(hex)) += ' ';
	// Readers treat details that are no object as none, too.
	if (!details.starts_with('{'))
		return text += kNoDetails;
	if (!sealer_.is_active())
		return text += details;
	// Sealed with the digest in front, so that they cannot be moved to another entry's metadata.
	return text += sealer_.seal(std::string(view(hex)) + std::string(details));
}

std::optional<EntryMetadata> EntryMetadataFormat::read(std::string_view text,
													   const oauth::Identity &identity,
													   std::string_view entry_value) const
{
	constexpr std::size_t kDigestAt = kEpochChars + 1;
	constexpr std::size_t kDetailsAt = kDigestAt + kDigestChars + 1;
	if (text.size() <= kDetailsAt || text.size() > kMaxValueBytes || text[kDigestAt - 1] != ' ' ||
		text[kDetailsAt - 1] != ' ' || !is_epoch_id(text.substr(0, kEpochChars)))
		return std::nullopt;
	const Hex hex = digest(identity, entry_value);
	if (CRYPTO_memcmp(hex.data(), text.data() + kDigestAt, hex.size()) != 0)
		return std::nullopt;

	EntryMetadata entry_metadata{text.substr(0, kEpochChars), {}};
	const std::string_view details = text.substr(kDetailsAt);
	if (details == kNoDetails)
		return entry_metadata;
	if (!sealer_.is_active()) {
		entry_metadata.details = details;
	} else {
		const auto opened = sealer_.open(details);
		if (!opened || !opened->reveal().starts_with(view(hex)))
			return std::nullopt;
		entry_metadata.details = opened->reveal().substr(hex.size());
	}
	if (!entry_metadata.details.starts_with('{'))
		return std::nullopt;
	return entry_metadata;
}

} // namespace sidecar::cache_entry
