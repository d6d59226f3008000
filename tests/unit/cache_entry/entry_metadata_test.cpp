#include "cache_entry/entry_metadata.hpp"

#include <set>

#include <gtest/gtest.h>

#include "samples.hpp"

using namespace sidecar::cache_entry;
using common::Secret;
using sidecar::oauth::Identity;

namespace
{

const std::string kEpoch(32, 'e');
constexpr std::string_view kValue = R"({"access_token":"ya29.A0"})";
constexpr std::string_view kDetails = R"({"account_label":"a@example.com", "extra":{"x":1}})";

std::string digest_of(const std::string &entry_metadata)
{
	return entry_metadata.substr(33, 64);
}

} // namespace

TEST(EntryMetadata, PlainForm)
{
	const EntryMetadataFormat format{Secret()};
	const std::string text = format.write(kEpoch, samples::identity(), kValue, kDetails);
	// As sha256sum tells of five lengths of 8 bytes and the five texts.
	EXPECT_EQ(text, kEpoch + " e21bfbdc4ba4f6c4ce2e38e3d6c22a7b7a7e7150922e43d503038c9d3caa86ce " +
						std::string(kDetails));
	const auto read = format.read(text, samples::identity(), kValue);
	ASSERT_TRUE(read);
	EXPECT_EQ(read->epoch_id, kEpoch);
	EXPECT_EQ(read->details, kDetails);
}

TEST(EntryMetadata, WithoutDetails)
{
	for (const std::string_view key : {std::string_view(), samples::kCacheKey}) {
		const EntryMetadataFormat format{Secret(key)};
		for (const char *details : {"", "null", "-"}) {
			const std::string text = format.write(kEpoch, samples::identity(), kValue, details);
			EXPECT_TRUE(text.ends_with(" -")) << text;
			const auto read = format.read(text, samples::identity(), kValue);
			ASSERT_TRUE(read);
			EXPECT_EQ(read->details, "");
		}
	}
}

// C16: what the Python service SETEXes has no entry metadata that fits.
TEST(EntryMetadata, OfAnotherEntry)
{
	const EntryMetadataFormat format{Secret()};
	const std::string text = format.write(kEpoch, samples::identity(), kValue, kDetails);
	const std::string value(kValue);
	for (const std::string &other : {std::string(), value + " ", value.substr(1),
									 std::string(R"({"access_token":"ya29.A1"})")})
		EXPECT_FALSE(format.read(text, samples::identity(), other)) << other;
}

// C7, C17: no two identities share a digest, wherever one value ends and the
// next begins.
TEST(EntryMetadata, OfAnotherIdentity)
{
	const EntryMetadataFormat format{Secret()};
	const Identity given = {"w", "p", "user", "7"};
	const std::string text = format.write(kEpoch, given, kValue, "");
	ASSERT_TRUE(format.read(text, given, kValue));
	const Identity others[] = {
		{"w", "p", "api_key", "7"}, {"x", "p", "user", "7"},  {"w", "q", "user", "7"},
		{"w", "p", "user", "8"},    {"wp", "", "user", "7"},  {"", "wp", "user", "7"},
		{"w", "pu", "ser", "7"},    {"w", "p", "user7", ""},  {"w", "p", "use", "r7"},
		{"p", "w", "user", "7"},    {"w", "p", "user", "7{"}, {"w", "p", "7", "user"},
	};
	std::set<std::string> digests = {digest_of(text)};
	for (const Identity &other : others) {
		EXPECT_FALSE(format.read(text, other, kValue));
		EXPECT_TRUE(digests.insert(digest_of(format.write(kEpoch, other, kValue, ""))).second);
	}
	const Identity longer = {"w", "p", "user", "7" + std::string(kValue)};
	EXPECT_FALSE(format.read(text, longer, ""));
}

TEST(EntryMetadata, Damage)
{
	for (const std::string_view key : {std::string_view(), samples::kCacheKey}) {
		const EntryMetadataFormat format{Secret(key)};
		const std::string text = format.write(kEpoch, samples::identity(), kValue, kDetails);
		ASSERT_TRUE(format.read(text, samples::identity(), kValue));
		// Another epoch is for the caller to see, and plain details are not signed.
		const std::size_t checked = key.empty() ? 33 + 64 + 2 : text.size();
		for (std::size_t i = 32; i < checked; i++) {
			std::string damaged = text;
			damaged[i] ^= 1;
			EXPECT_FALSE(format.read(damaged, samples::identity(), kValue)) << i;
			EXPECT_FALSE(format.read(text.substr(0, i), samples::identity(), kValue)) << i;
		}
		std::string upper = text;
		upper[0] = 'E';
		EXPECT_FALSE(format.read(upper, samples::identity(), kValue));
		EXPECT_FALSE(
			format.read(text + std::string(kMaxValueBytes, ' '), samples::identity(), kValue));
	}
}

TEST(EntryMetadata, SealedDetails)
{
	const EntryMetadataFormat plain{Secret()}, sealed{Secret(samples::kCacheKey)},
		other{Secret(samples::kOtherCacheKey)};
	const Identity identity = samples::identity();
	const std::string text = sealed.write(kEpoch, identity, kValue, kDetails);
	EXPECT_EQ(text.find("example.com"), std::string::npos);
	const auto read = sealed.read(text, identity, kValue);
	ASSERT_TRUE(read);
	EXPECT_EQ(read->details, kDetails);
	EXPECT_FALSE(plain.read(text, identity, kValue));
	EXPECT_FALSE(other.read(text, identity, kValue));
	EXPECT_FALSE(sealed.read(plain.write(kEpoch, identity, kValue, kDetails), identity, kValue));

	// Details of one entry metadata are no good in another.
	Identity another = identity;
	another.actor_id = "8";
	std::string moved = sealed.write(kEpoch, another, kValue, kDetails);
	ASSERT_TRUE(sealed.read(moved, another, kValue));
	moved.replace(33 + 64 + 1, std::string::npos, text.substr(33 + 64 + 1));
	EXPECT_FALSE(sealed.read(moved, another, kValue));
}
