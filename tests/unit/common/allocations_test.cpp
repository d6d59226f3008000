#include "allocations.hpp"

#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>

#include "tokens.hpp"

// The counter itself must be able to move.
TEST(Allocations, CounterCounts)
{
	const auto before = allocations::ours();
	std::make_unique<std::string>(100, 'x');
	EXPECT_GE(allocations::ours(), before + 2);

	const auto between = allocations::ours();
	void *volatile memory = std::malloc(10);
	std::free(memory);
	EXPECT_EQ(allocations::ours(), between + 1);
}

TEST(Allocations, NoneOfOursPerCall)
{
	constexpr std::size_t kCalls = 1000;
	const auto key = common::fernet::Key::parse(kVectorKey);
	auto cipher = make_cipher();
	const std::string plaintext(200, 'p');
	std::string token(common::fernet::token_chars(plaintext.size()), '\0');
	std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
	common::fernet::Iv iv;
	bool good = common::fernet::random_iv(iv); // sets up the generator

	const auto ours = allocations::ours(), openssl = allocations::openssl();
	for (std::size_t i = 0; i < kCalls; i++) {
		good &= cipher.encrypt(plaintext, kTimestamp, kIv, token);
		auto envelope = common::fernet::Envelope::decode(token, buffer);
		good &= envelope && common::fernet::is_fresh(envelope->timestamp(), kTimestamp, 0) &&
				cipher.verify(*envelope) && cipher.decrypt(*envelope);
	}
	EXPECT_EQ(allocations::openssl(), openssl);

	for (std::size_t i = 0; i < kCalls; i++) {
		good &= common::fernet::random_iv(iv);
		good &= common::fernet::Key::parse(kVectorKey).has_value();
		good &= key->fingerprint()[0] != '\0';
	}
	EXPECT_EQ(allocations::ours(), ours);
	EXPECT_TRUE(good);
}
