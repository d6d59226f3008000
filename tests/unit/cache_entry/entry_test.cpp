#include "cache_entry/entry.hpp"

#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

#include "cache_entry/sealer.hpp"
#include "oauth/json.hpp"
#include "samples.hpp"

using namespace sidecar::cache_entry;
using common::Secret;

namespace
{

const EntryFormat kPlain{Secret()};
constexpr std::string_view kName = "oauth:token:google:w:user:7";

std::string written(const Entry &entry)
{
	return std::string(kPlain.write(kName, entry).reveal());
}

std::optional<Entry> read(std::string_view value)
{
	return kPlain.read(kName, value);
}

// An entry whose expiry is `time`.
std::optional<long long> expiry(std::string_view time)
{
	const auto entry = read(R"({"access_token":"a","expires_at":")" + std::string(time) + "\"}");
	return entry ? entry->expires_at : std::nullopt;
}

} // namespace

TEST(Entry, PlainForm)
{
	Entry entry = samples::entry();
	EXPECT_EQ(written(entry),
			  R"({"access_token":"ya29.A0","refresh_token":null,)"
			  R"("expires_at":"2026-11-22T09:32:37+00:00","scope":"calendar email"})");
	entry.refresh_token = Secret("1//r");
	entry.expires_at.reset();
	entry.scope.reset();
	EXPECT_EQ(
		written(entry),
		R"({"access_token":"ya29.A0","refresh_token":"1//r","expires_at":null,"scope":null})");
	entry.access_token = Secret(std::string_view("\"\\/\x01\x1f\n\0\x7fé😀", 14));
	EXPECT_TRUE(written(entry).starts_with(R"({"access_token":"\"\\/\u0001\u001f\u000a\u0000)"
										   "\x7fé😀\""));
}

TEST(Entry, ReadsWhatItWrites)
{
	const EntryFormat sealed{Secret(samples::kCacheKey)};
	for (const EntryFormat *format : {&kPlain, &sealed})
		for (const std::string &token :
			 {std::string("a"), std::string(65'536, 'a'), std::string("\"\\/\x01\0\x7fé😀", 12),
			  std::string(5000, '"')}) {
			Entry entry = samples::entry(token);
			entry.refresh_token = Secret("r" + token);
			const auto got = format->read(kName, format->write(kName, entry).reveal());
			ASSERT_TRUE(got);
			EXPECT_EQ(got->access_token.reveal(), token);
			ASSERT_TRUE(got->refresh_token);
			EXPECT_EQ(got->refresh_token->reveal(), "r" + token);
			EXPECT_EQ(got->expires_at, samples::kExpiry);
			EXPECT_EQ(got->scope, "calendar email");

			entry.refresh_token.reset();
			entry.expires_at.reset();
			entry.scope.reset();
			const auto bare = format->read(kName, format->write(kName, entry).reveal());
			ASSERT_TRUE(bare);
			EXPECT_FALSE(bare->refresh_token || bare->expires_at || bare->scope);
		}
}

TEST(Entry, Tolerance)
{
	for (const char *value : {
			 R"({"access_token":"a"})",
			 R"( {"scope" : null, "access_token" : "\u0061" , "expires_at":null} )",
			 R"({"access\u005ftoken":"a"})",
			 R"({"access_token":"a","token_type":"Bearer","more":[1,-2,1.5,true,null,"x",)"
			 R"({"access_token":1,"scope":[]}],"key":5,"more":{},"":[[[]]]})",
			 R"({"more":{"access_token":"b"},"access_token":"a"})",
		 }) {
		const auto entry = read(value);
		ASSERT_TRUE(entry) << value;
		EXPECT_EQ(entry->access_token.reveal(), "a") << value;
	}
}

TEST(Entry, ValuesThatAreNone)
{
	const std::string deep(20, '[');
	const std::string bad[] = {
		"",
		"null",
		"1",
		"true",
		"\"a\"",
		"{}",
		"[]",
		R"([{"access_token":"a"}])",
		R"({"access_token":""})",
		R"({"access_token":null})",
		R"({"access_token":1})",
		R"({"access_token":true})",
		R"({"access_token":["a"]})",
		R"({"access_token":{"a":"b"}})",
		R"({"access_token":"a","access_token":"b"})",
		R"({"access_token":"a","refresh_token":1})",
		R"({"access_token":"a","refresh_token":["r"]})",
		R"({"access_token":"a","scope":1.5})",
		R"({"access_token":"a","scope":["a"]})",
		R"({"access_token":"a","scope":null,"scope":null})",
		R"({"access_token":"a","expires_at":1795339957})",
		R"({"access_token":"a","expires_at":{}})",
		R"({"access_token":"a")",
		R"({"access_token":"a"}})",
		R"({"access_token":"a"} x)",
		R"({"access_token":"a"}{"access_token":"a"})",
		R"({"access_token":"a",})",
		R"({'access_token':'a'})",
		R"({"access_token":"a"/**/})",
		R"({"access_token":"\ud800"})",
		"{\"access_token\":\"a\xff\"}",
		"{\"access_token\":\"a\n\"}",
		R"({"more":{"access_token":"a"}})",
		R"({"access_token":"a","more":)" + deep + std::string(20, ']') + "}",
		std::string(R"({"access_token":"a"})") + '\0',
		R"({"access_token":"a"})" + std::string(kMaxValueBytes, ' '),
	};
	for (const std::string &value : bad)
		EXPECT_FALSE(read(value)) << value.substr(0, 100);
}

TEST(Entry, Times)
{
	const std::pair<long long, const char *> times[] = {
		{0, "1970-01-01T00:00:00+00:00"},
		{-1, "1969-12-31T23:59:59+00:00"},
		{951782400, "2000-02-29T00:00:00+00:00"},
		{4102444799, "2099-12-31T23:59:59+00:00"},
		{253402300799, "9999-12-31T23:59:59+00:00"},
		{-62167219200, "0000-01-01T00:00:00+00:00"},
	};
	for (const auto &[seconds, text] : times) {
		EXPECT_EQ(expiry(text), seconds) << text;
		Entry entry = samples::entry();
		entry.expires_at = seconds;
		EXPECT_NE(written(entry).find(text), std::string::npos) << text;
	}
	// What no text can say is as far away as one can.
	Entry entry = samples::entry();
	entry.expires_at = std::numeric_limits<long long>::max();
	EXPECT_NE(written(entry).find("9999-12-31T23:59:59+00:00"), std::string::npos);
	entry.expires_at = std::numeric_limits<long long>::min();
	EXPECT_NE(written(entry).find("0000-01-01T00:00:00+00:00"), std::string::npos);

	for (const char *text :
		 {"", "2026-11-22", "2026-11-22T09:32:37", "2026-11-22T09:32:37Z",
		  "2026-11-22T09:32:37+01:00", "2026-11-22T09:32:37-00:00", "2026-11-22 09:32:37+00:00",
		  "2026-13-22T09:32:37+00:00", "2026-00-22T09:32:37+00:00", "2026-02-29T09:32:37+00:00",
		  "2026-11-31T09:32:37+00:00", "2026-11-22T24:00:00+00:00", "2026-11-22T09:60:37+00:00",
		  "2026-11-22T09:32:60+00:00", "2026-11-22T09:32:3x+00:00", "-026-11-22T09:32:37+00:00",
		  "2026-11-22T09:32:37.5+00:00", "2026-11-22T09:32:37+00:00 "})
		EXPECT_EQ(expiry(text), std::nullopt) << text;
}

TEST(Entry, TooLargeIsNotWritten)
{
	const EntryFormat sealed{Secret(samples::kCacheKey)};
	for (const EntryFormat *format : {&kPlain, &sealed}) {
		std::size_t largest = 0;
		for (std::size_t size = 100'000; size < 210'000; size += 1000) {
			const Secret value = format->write(kName, samples::entry(std::string(size, 'a')));
			EXPECT_EQ(value.empty(), !format->read(kName, value.reveal()));
			EXPECT_LE(value.size(), kMaxValueBytes);
			if (!value.empty())
				largest = size;
		}
		// Two of the largest tokens fit.
		EXPECT_GT(largest, 2 * 65'536u);
		EXPECT_LT(largest, kMaxValueBytes);
	}
}

// C4: nothing of the token is to be seen, and an entry cannot be moved.
TEST(Entry, Sealed)
{
	const EntryFormat sealed{Secret(samples::kCacheKey)}, other{Secret(samples::kOtherCacheKey)};
	const Secret value = sealed.write(kName, samples::entry());
	const std::string_view text = value.reveal();
	EXPECT_TRUE(text.starts_with("gAAAA"));
	EXPECT_TRUE(sealed.read(kName, text));
	EXPECT_FALSE(sealed.read("oauth:token:google:w:user:8", text));
	EXPECT_FALSE(sealed.read("", text));
	EXPECT_FALSE(other.read(kName, text));
	EXPECT_FALSE(kPlain.read(kName, text));
	EXPECT_FALSE(sealed.read(kName, written(samples::entry())));
	EXPECT_NE(sealed.write(kName, samples::entry()).reveal(), text);
	for (std::size_t i = 0; i < text.size(); i++) {
		std::string damaged(text);
		damaged[i] ^= 1;
		EXPECT_FALSE(sealed.read(kName, damaged)) << i;
		EXPECT_FALSE(sealed.read(kName, text.substr(0, i))) << i;
	}

	const auto opened = Sealer(Secret(samples::kCacheKey)).open(text);
	ASSERT_TRUE(opened);
	EXPECT_EQ(opened->reveal(),
			  R"({"access_token":"ya29.A0","refresh_token":null,)"
			  R"("expires_at":"2026-11-22T09:32:37+00:00","scope":"calendar email",)"
			  R"("key":"oauth:token:google:w:user:7"})");
}

TEST(Entry, SealedWithoutItsKey)
{
	const EntryFormat format{Secret(samples::kCacheKey)};
	const Sealer sealer{Secret(samples::kCacheKey)};
	const std::string name(kName);
	EXPECT_TRUE(format.read(kName, sealer.seal(R"({"access_token":"a","key":")" + name + "\"}")));
	for (const std::string &json :
		 {std::string(R"({"access_token":"a"})"), std::string(R"({"access_token":"a","key":null})"),
		  std::string(R"({"access_token":"a","key":""})"),
		  R"({"access_token":"a","key":["k"],"key":")" + name + "\"}",
		  R"({"access_token":"a","more":{"key":")" + name + "\"}}",
		  R"({"access_token":"a","key":")" + name + R"(","key":"x"})"})
		EXPECT_FALSE(format.read(kName, sealer.seal(json))) << json;
}

TEST(Entry, KeyThatIsNone)
{
	EXPECT_THROW(EntryFormat{Secret("hunter2")}, std::invalid_argument);
}
