#include "cache_entry/entry_metadata.hpp"

#include <array>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "cache_entry/entry.hpp"
#include "cache_entry/epoch.hpp"

namespace sidecar::cache
{

namespace
{

constexpr std::string_view kNoDetails = "-";
constexpr std::size_t kEpochChars = 32;
constexpr std::size_t kDigestChars = 64;
constexpr std::size_t kLengthBytes = 8;

} // namespace

void EntryMetadataFormat::Free::operator()(EVP_MD_CTX *context) const noexcept
{
	EVP_MD_CTX_free(context);
}

void EntryMetadataFormat::Free::operator()(EVP_MD *algorithm) const noexcept
{
	EVP_MD_free(algorithm);
}

EntryMetadataFormat::EntryMetadataFormat(const Secret &key)
	: sealer_(key), sha256_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new())
{
	if (!sha256_ || !context_)
		throw std::runtime_error("OpenSSL cannot set up SHA-256");
}

// All lengths come first, so that no two lists of texts hash the same bytes.
EntryMetadataFormat::HexDigest EntryMetadataFormat::digest(const oauth::Identity &identity,
														   std::string_view entry_value) const
{
	const std::array<std::string_view, 5> texts = {identity.workspace_id, identity.provider,
												   identity.actor_type, identity.actor_id,
												   entry_value};
	std::array<unsigned char, kLengthBytes * texts.size()> lengths;
	std::size_t at = 0;
	for (const std::string_view text : texts)
		for (int shift = 8 * (kLengthBytes - 1); shift >= 0; shift -= 8)
			lengths[at++] = static_cast<unsigned char>(std::uint64_t{text.size()} >> shift);

	EVP_MD_CTX *context = context_.get();
	bool good = EVP_DigestInit_ex2(context, sha256_.get(), nullptr) == 1 &&
				EVP_DigestUpdate(context, lengths.data(), lengths.size()) == 1;
	for (const std::string_view text : texts)
		good = good && EVP_DigestUpdate(context, text.data(), text.size()) == 1;
	std::array<unsigned char, kDigestChars / 2> bytes;
	if (!good || EVP_DigestFinal_ex(context, bytes.data(), nullptr) != 1)
		throw std::runtime_error("SHA-256 failed");

	constexpr char kDigits[] = "0123456789abcdef";
	HexDigest hex;
	for (std::size_t i = 0; i < bytes.size(); i++) {
		hex[2 * i] = kDigits[bytes[i] >> 4];
		hex[2 * i + 1] = kDigits[bytes[i] & 15];
	}
	return hex;
}

std::string EntryMetadataFormat::write(std::string_view epoch_id, const oauth::Identity &identity,
									   std::string_view entry_value, std::string_view details) const
{
	const HexDigest hex = digest(identity, entry_value);
	std::string text(epoch_id);
	(text += ' ').append(hex.data(), hex.size()) += ' ';
	// Readers treat details that are no object as none, too.
	if (!details.starts_with('{'))
		return text += kNoDetails;
	if (!sealer_.is_active())
		return text += details;
	// Sealed with the digest in front, so that they cannot be moved to another entry's metadata.
	std::string plaintext(hex.data(), hex.size());
	plaintext += details;
	return text += sealer_.seal(plaintext);
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
	const HexDigest hex = digest(identity, entry_value);
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
		if (!opened || !opened->reveal().starts_with(std::string_view(hex.data(), hex.size())))
			return std::nullopt;
		entry_metadata.details = opened->reveal().substr(hex.size());
	}
	if (!entry_metadata.details.starts_with('{'))
		return std::nullopt;
	return entry_metadata;
}

} // namespace sidecar::cache
