#include "cache_entry/entry_metadata.hpp"

#include <array>
#include <cstdint>

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
constexpr std::size_t kDigestChars = 64;
constexpr std::size_t kLengthBytes = 8;

// In hex. All lengths come first, so that no two lists of texts hash the same bytes.
std::string digest(const oauth::Identity &identity, std::string_view entry_value)
{
	const std::array<std::string_view, 5> texts = {identity.workspace_id, identity.provider,
												   identity.actor_type, identity.actor_id,
												   entry_value};
	std::string lengths;
	for (const std::string_view text : texts)
		for (int shift = 8 * (kLengthBytes - 1); shift >= 0; shift -= 8)
			lengths += static_cast<char>(std::uint64_t{text.size()} >> shift);
	const common::Digest bytes =
		common::sha256({lengths, texts[0], texts[1], texts[2], texts[3], texts[4]});
	return common::hex({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
}

} // namespace

std::string EntryMetadataFormat::write(std::string_view epoch_id, const oauth::Identity &identity,
									   std::string_view entry_value, std::string_view details) const
{
	const std::string hex = digest(identity, entry_value);
	std::string text(epoch_id);
	((text += ' ') += hex) += ' ';
	// Readers treat details that are no object as none, too.
	if (!details.starts_with('{'))
		return text += kNoDetails;
	if (!sealer_.is_active())
		return text += details;
	// Sealed with the digest in front, so that they cannot be moved to another entry's metadata.
	return text += sealer_.seal(hex + std::string(details));
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
	const std::string hex = digest(identity, entry_value);
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
		if (!opened || !opened->reveal().starts_with(hex))
			return std::nullopt;
		entry_metadata.details = opened->reveal().substr(hex.size());
	}
	if (!entry_metadata.details.starts_with('{'))
		return std::nullopt;
	return entry_metadata;
}

} // namespace sidecar::cache_entry
