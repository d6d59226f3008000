// Reads what may stand in Redis, made of arbitrary bytes (libFuzzer). The first
// byte of an input, '0' to '4' in text, chooses what the rest is:
//
//   entry      the value of an entry, plain or a Fernet token
//   sealed     the JSON within a sealed entry, sealed here
//   entry metadata  a entry metadata of a fixed entry
//   details    what stands behind a entry metadata's digest, which is made here
//   epoch      the epoch's value
//
// Whatever is accepted must be written and read to the very same again, and our own form is read as
// any JSON is.
#include <cstdlib>

#include "../unit/cache_entry/samples.hpp"
#include "cache_entry/entry_json.hpp"
#include "cache_entry/entry_metadata.hpp"
#include "cache_entry/epoch.hpp"

using namespace sidecar;
using namespace sidecar::cache_entry;

namespace
{

constexpr std::string_view kName = "oauth:token:google:w:user:7";
constexpr std::string_view kValue = R"({"access_token":"a"})";
const std::string kEpochId(32, 'e');

void require(bool good)
{
	if (!good)
		std::abort();
}

// Made once: all formats with one key.
struct Formats {
	explicit Formats(std::string_view key)
		: entry(common::Secret(key)), entry_metadata(common::Secret(key))
	{
	}
	EntryFormat entry;
	EntryMetadataFormat entry_metadata;
};

const Formats &plain()
{
	static const Formats formats("");
	return formats;
}

const Formats &sealed()
{
	static const Formats formats(samples::kCacheKey);
	return formats;
}

bool same(const std::optional<common::Secret> &one, const std::optional<common::Secret> &other)
{
	return one.has_value() == other.has_value() && (!one || one->equals(other->reveal()));
}

void check_readers(std::string_view value)
{
	for (const KeyName key_name : {KeyName(), KeyName(kName)}) {
		const auto one = read_entry_json(value, key_name),
				   other = parse_entry_json(value, key_name);
		require(one.has_value() == other.has_value());
		require(!one || (one->access_token.equals(other->access_token.reveal()) &&
						 same(one->refresh_token, other->refresh_token) &&
						 one->expires_at == other->expires_at && one->scope == other->scope &&
						 one->fill == other->fill));
	}
}

void check_entry(const EntryFormat &format, std::string_view value)
{
	const auto entry = format.read(kName, value);
	if (!entry)
		return;
	require(value.size() <= kMaxValueBytes && !entry->access_token.empty());
	const common::Secret again = format.write(kName, *entry);
	const auto reread = format.read(kName, again.reveal());
	require(reread && reread->access_token.equals(entry->access_token.reveal()) &&
			same(reread->refresh_token, entry->refresh_token) &&
			reread->expires_at == entry->expires_at && reread->scope == entry->scope);
}

void check_metadata(const EntryMetadataFormat &format, std::string_view text)
{
	const auto identity = samples::identity();
	const auto entry_metadata = format.read(text, identity, kValue);
	if (!entry_metadata)
		return;
	require(is_epoch_id(entry_metadata->epoch_id));
	require(entry_metadata->details.empty() || entry_metadata->details.starts_with('{'));
	const std::string again =
		format.write(entry_metadata->epoch_id, identity, kValue, entry_metadata->details);
	const auto reread = format.read(again, identity, kValue);
	require(reread && reread->epoch_id == entry_metadata->epoch_id &&
			reread->details == entry_metadata->details);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *bytes, std::size_t size)
{
	if (size == 0)
		return 0;
	const std::string_view body(reinterpret_cast<const char *>(bytes + 1), size - 1);
	switch (bytes[0] % 5) {
	case '0' % 5:
		check_readers(body);
		check_entry(plain().entry, body);
		check_entry(sealed().entry, body);
		break;
	case '1' % 5:
		check_entry(sealed().entry, Sealer(common::Secret(samples::kCacheKey)).seal(body));
		break;
	case '2' % 5:
		check_metadata(plain().entry_metadata, body);
		check_metadata(sealed().entry_metadata, body);
		break;
	case '3' % 5: {
		std::string text = plain().entry_metadata.write(kEpochId, samples::identity(), kValue, "");
		text.pop_back();
		text += body;
		check_metadata(plain().entry_metadata, text);
		check_metadata(sealed().entry_metadata, text);
		break;
	}
	case '4' % 5:
		if (const auto epoch = Epoch::parse(body))
			require(epoch->text() == body);
		break;
	}
	return 0;
}
