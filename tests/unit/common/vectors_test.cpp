// The test vectors of the Fernet specification.
#include "vectors.hpp"

#include <gtest/gtest.h>

#include "tokens.hpp"

namespace
{

// What an application does with a token, the ttl included.
std::optional<std::string> open_fresh(const Vector &vector)
{
	auto cipher = make_cipher(vector.at("secret"));
	const std::string token = vector.at("token");
	std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
	const auto envelope = common::fernet::Envelope::decode(token, buffer);
	const auto ttl = std::stoull(vector.at("ttl_sec")) * 1'000'000;
	if (!envelope ||
		!common::fernet::is_fresh(envelope->timestamp(), parse_time(vector.at("now")), ttl))
		return std::nullopt;
	return open(cipher, token);
}

const Vector &invalid(std::string_view description)
{
	static const auto vectors = read_vectors("invalid.json");
	for (const auto &vector : vectors) {
		if (vector.at("desc") == description)
			return vector;
	}
	throw std::runtime_error("no such vector: " + std::string(description));
}

} // namespace

TEST(Vectors, TimesAreRead)
{
	EXPECT_EQ(parse_time("1985-10-26T01:20:00-07:00"), 499162800u);
	EXPECT_EQ(parse_time("1970-01-01T01:00:00+01:00"), 0u);
	EXPECT_EQ(parse_time("2000-02-29T00:00:00+00:00"), 951782400u);
}

TEST(Vectors, Generate)
{
	const auto vectors = read_vectors("generate.json");
	ASSERT_EQ(vectors.size(), 1u);
	for (const auto &vector : vectors) {
		auto cipher = make_cipher(vector.at("secret"));
		EXPECT_EQ(
			seal(cipher, vector.at("src"), parse_time(vector.at("now")), parse_iv(vector.at("iv"))),
			vector.at("token"));
	}
}

TEST(Vectors, Verify)
{
	const auto vectors = read_vectors("verify.json");
	ASSERT_EQ(vectors.size(), 1u);
	for (const auto &vector : vectors)
		EXPECT_EQ(open_fresh(vector), vector.at("src"));
}

TEST(Vectors, Invalid)
{
	const auto vectors = read_vectors("invalid.json");
	ASSERT_EQ(vectors.size(), 8u);
	for (const auto &vector : vectors)
		EXPECT_FALSE(open_fresh(vector)) << vector.at("desc");
}

// Each is refused for its own reason, and not by an earlier check.
TEST(Vectors, InvalidForTheReasonGiven)
{
	for (const char *malformed :
		 {"too short", "invalid base64", "payload size not multiple of block size"}) {
		const std::string token = invalid(malformed).at("token");
		std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
		EXPECT_FALSE(common::fernet::Envelope::decode(token, buffer)) << malformed;
	}
	for (const char *stale : {"far-future TS (unacceptable clock skew)", "expired TTL"}) {
		const auto &vector = invalid(stale);
		auto cipher = make_cipher(vector.at("secret"));
		EXPECT_TRUE(open(cipher, vector.at("token"))) << stale;
	}
	for (const auto &[description, authentic] :
		 {std::pair("incorrect mac", false), std::pair("payload padding error", true),
		  std::pair("incorrect IV (causes padding error)", true)}) {
		const auto &vector = invalid(description);
		const std::string token = vector.at("token");
		auto cipher = make_cipher(vector.at("secret"));
		std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
		auto envelope = common::fernet::Envelope::decode(token, buffer);
		ASSERT_TRUE(envelope) << description;
		EXPECT_EQ(cipher.verify(*envelope), authentic) << description;
		if (authentic) {
			EXPECT_FALSE(cipher.decrypt(*envelope)) << description;
		}
	}
}
