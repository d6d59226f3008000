#include "common/fernet.hpp"
#include "common/iv_pool.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocations.hpp"
#include "tokens.hpp"

using common::fernet::Cipher;
using common::fernet::Envelope;
using common::fernet::Iv;
using common::fernet::Key;

namespace
{

constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();

std::string text_of_length(std::size_t size)
{
	std::string text(size, '\0');
	for (std::size_t i = 0; i < size; i++)
		text[i] = static_cast<char>(i * 7 + size);
	return text;
}

} // namespace

TEST(Fernet, EveryLengthComesBack)
{
	auto cipher = make_cipher();
	for (std::size_t size = 0; size <= 200; size++) {
		const auto plaintext = text_of_length(size);
		const auto token = seal(cipher, plaintext);
		EXPECT_EQ(token.size(), common::fernet::token_chars(size));
		EXPECT_EQ(open(cipher, token), plaintext) << size;
	}
}

TEST(Fernet, PlaintextOfOneMebibyteComesBack)
{
	auto cipher = make_cipher();
	const auto plaintext = text_of_length(1 << 20);
	EXPECT_EQ(open(cipher, seal(cipher, plaintext)), plaintext);
}

// The contexts are reused, so a call must not depend on what was called before.
TEST(Fernet, CallsInAnyOrderAgreeWithFreshCiphers)
{
	auto reused = make_cipher();
	for (int i = 0; i < 500; i++) {
		const auto plaintext = text_of_length(static_cast<std::size_t>(i * 37 % 201));
		Iv iv;
		ASSERT_TRUE(common::fernet::random_iv(iv));
		auto fresh = make_cipher();
		const auto token = seal(fresh, plaintext, kTimestamp, iv);
		if (i % 3 != 0) {
			EXPECT_EQ(seal(reused, plaintext, kTimestamp, iv), token);
		}
		if (i % 5 == 0) {
			EXPECT_FALSE(open(reused, seal(fresh, plaintext).replace(30, 4, "AAAA")));
		}
		if (i % 2 != 0) {
			EXPECT_EQ(open(reused, token), plaintext);
		}
	}
}

TEST(Fernet, OtherKeyDoesNotVerify)
{
	auto cipher = make_cipher();
	Cipher other(Key::generate().value());
	EXPECT_FALSE(open(other, seal(cipher, "secret")));
	EXPECT_EQ(open(cipher, seal(cipher, "secret")), "secret");
}

TEST(Fernet, MovedCipherGoesOn)
{
	auto first = make_cipher();
	const auto token = seal(first, "one");
	Cipher second(std::move(first));
	EXPECT_EQ(open(second, token), "one");
	Cipher third(Key::generate().value());
	third = std::move(second);
	EXPECT_EQ(open(third, token), "one");
	EXPECT_EQ(seal(third, "one"), token);
}

TEST(Fernet, TimestampsOf64BitsAreKept)
{
	auto cipher = make_cipher();
	for (const std::uint64_t timestamp :
		 {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x0123456789abcdef}, kLast / 2,
		  kLast / 2 + 1, kLast}) {
		const auto token = seal(cipher, "x", timestamp);
		const auto bytes = decode(token).value();
		for (std::size_t i = 0; i < 8; i++)
			EXPECT_EQ(bytes[1 + i], timestamp >> (56 - 8 * i) & 0xff);

		std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
		const auto envelope = Envelope::decode(token, buffer);
		ASSERT_TRUE(envelope);
		EXPECT_EQ(envelope->timestamp(), timestamp);
		EXPECT_EQ(open(cipher, token), "x");
	}
}

TEST(Fernet, EncryptRefusesOutputOfAnotherSize)
{
	auto cipher = make_cipher();
	for (const std::size_t size : {0, 99, 101, 120}) {
		std::string out(size, 'x');
		EXPECT_FALSE(cipher.encrypt("hello", kTimestamp, kIv, out));
		EXPECT_EQ(out, std::string(size, '\0'));
	}
}

TEST(Fernet, DecodeRefusesSmallBuffer)
{
	auto cipher = make_cipher();
	const auto token = seal(cipher, "hello");
	std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()) - 1);
	EXPECT_FALSE(Envelope::decode(token, buffer));
}

TEST(Fernet, DecryptLeavesPlaintextAloneInTheBuffer)
{
	auto cipher = make_cipher();
	for (std::size_t size : {0, 1, 15, 16, 17, 200}) {
		const std::string plaintext(size, 'p');
		const auto token = seal(cipher, plaintext);
		std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
		auto envelope = Envelope::decode(token, buffer);
		ASSERT_TRUE(envelope && cipher.verify(*envelope));
		const auto opened = cipher.decrypt(*envelope);
		ASSERT_TRUE(opened);
		EXPECT_EQ(static_cast<void *>(opened->data()), buffer.data());
		EXPECT_EQ(opened->size(), size);
		EXPECT_TRUE(std::all_of(buffer.begin() + static_cast<std::ptrdiff_t>(size), buffer.end(),
								[](unsigned char byte) { return byte == 0; }));
		EXPECT_FALSE(cipher.verify(*envelope));
		EXPECT_FALSE(cipher.decrypt(*envelope));
		EXPECT_EQ(std::string(opened->begin(), opened->end()), plaintext);
	}
}

namespace
{

using DrawIvs = bool (*)(std::span<Iv>);

void expect_unique_after_fork(DrawIvs draw)
{
	constexpr int kDraws = 1000;
	std::vector<Iv> all(2 * kDraws);
	int pipes[2];
	ASSERT_TRUE(draw(std::span(all).first(1))); // so that the child inherits a generator in use
	ASSERT_EQ(pipe(pipes), 0);
	const pid_t child = fork();
	ASSERT_GE(child, 0);

	const bool good = draw(std::span(all).first(kDraws));
	constexpr std::size_t bytes = kDraws * sizeof(Iv);
	if (child == 0)
		_exit(good && write(pipes[1], all.data(), bytes) == bytes ? 0 : 1);

	ASSERT_TRUE(good);
	close(pipes[1]);
	for (std::size_t got = 0; got < bytes;) {
		const auto count = read(pipes[0], all[kDraws].data() + got, bytes - got);
		ASSERT_GT(count, 0);
		got += static_cast<std::size_t>(count);
	}
	close(pipes[0]);
	int status;
	ASSERT_EQ(waitpid(child, &status, 0), child);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(std::set<Iv>(all.begin(), all.end()).size(), all.size());
}

} // namespace

TEST(Fernet, RandomIvsAreUniqueAlsoAfterFork)
{
	expect_unique_after_fork([](std::span<Iv> ivs) {
		return std::ranges::all_of(ivs, [](Iv &iv) { return common::fernet::random_iv(iv); });
	});
	expect_unique_after_fork([](std::span<Iv> ivs) { return common::fernet::random_ivs(ivs); });
}

TEST(Fernet, PooledIvsAreUniqueAlsoAfterFork) // E11
{
	expect_unique_after_fork([](std::span<Iv> ivs) {
		return std::ranges::all_of(ivs, [](Iv &iv) { return common::fernet::next_iv(iv); });
	});
}

// One allocation after the other fails, without a crash and without a leak.
TEST(Fernet, SetUpThrowsWhereMemoryRunsOut)
{
	const Key key = Key::parse(kVectorKey).value();
	Cipher warm_up(key);
	const auto token = seal(warm_up, "hello");
	std::size_t live = 0;
	for (int round = 0; round < 2; round++) { // the first fills what OpenSSL caches
		live = allocations::openssl_live();
		int failures = 0;
		for (bool struck = true; struck; failures += struck) {
			std::optional<Cipher> cipher;
			{
				const allocations::OutOfMemory limit(static_cast<std::size_t>(failures));
				try {
					cipher.emplace(key);
				} catch (const std::runtime_error &) {
				}
				struck = limit.struck();
			}
			ERR_clear_error();
			EXPECT_NE(cipher.has_value(), struck);
			if (cipher) {
				EXPECT_EQ(seal(*cipher, "hello"), token);
			}
		}
		EXPECT_GT(failures, 3);
	}
	EXPECT_EQ(allocations::openssl_live(), live);
}

TEST(Fernet, CallsFailCleanlyWhereMemoryRunsOut)
{
	auto cipher = make_cipher();
	const auto token = seal(cipher, "hello");
	for (std::size_t after = 0;; after++) {
		std::string out(token.size(), 'x');
		bool sealed, struck;
		std::optional<std::string> opened;
		{
			const allocations::OutOfMemory limit(after);
			sealed = cipher.encrypt("hello", kTimestamp, kIv, out);
			struck = limit.struck();
		}
		EXPECT_EQ(out, sealed ? token : std::string(token.size(), '\0'));
		EXPECT_EQ(sealed, !struck);
		{
			const allocations::OutOfMemory limit(after);
			opened = open(cipher, token);
			EXPECT_EQ(opened.has_value(), !limit.struck());
		}
		// The cipher is as good as before once there is memory again.
		EXPECT_EQ(seal(cipher, "hello"), token);
		EXPECT_EQ(open(cipher, token), "hello");
		if (!struck)
			break;
	}
}
