#include "redis/decoder.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "redis/command.hpp"

namespace sidecar::redis
{

using namespace std::string_literals;

namespace
{

constexpr std::size_t kMax = 1 << 20;
constexpr std::size_t kBite = 4096;

std::string shown(const Reply &reply)
{
	switch (reply.kind()) {
	case Reply::Kind::nil:
		return "nil";
	case Reply::Kind::status:
		return "+" + std::string(reply.text());
	case Reply::Kind::error:
		return "-" + std::string(reply.text());
	case Reply::Kind::text:
		return "\"" + std::string(reply.text()) + "\"";
	case Reply::Kind::integer:
		return std::to_string(reply.integer());
	case Reply::Kind::array:
		break;
	}
	std::string text = "[";
	for (std::size_t i = 0; i < reply.size(); i++)
		text += (i == 0 ? "" : " ") + shown(reply[i]);
	return text + "]";
}

// As Connection::take() reads them, or by hiredis alone.
std::string read(Decoder &decoder, std::string_view bytes, bool takes)
{
	std::string text;
	while (!bytes.empty() && !decoder.has_failed()) {
		if (const auto texts = takes ? decoder.take_texts(bytes) : std::nullopt) {
			text += shown(*texts) + ";";
			continue;
		}
		decoder.feed(bytes.substr(0, kBite));
		bytes.remove_prefix(std::min(kBite, bytes.size()));
		while (const std::optional<Reply> reply = decoder.next())
			text += shown(*reply) + ";";
	}
	return text;
}

// All replies in `bytes`, read in pieces of such a size.
std::string decoded(std::string_view bytes, std::size_t piece, std::size_t max = kMax)
{
	Decoder decoder(max);
	std::string text;
	while (!bytes.empty() && !decoder.has_failed()) {
		text += read(decoder, bytes.substr(0, piece), true);
		bytes.remove_prefix(std::min(piece, bytes.size()));
	}
	return text + (decoder.has_failed() ? "failed" : "");
}

std::string bulk(const std::string &text)
{
	return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

std::string written(const Command &command)
{
	common::Secret out;
	command.write_to(out);
	return std::string(out.reveal());
}

} // namespace

TEST(RedisDecoder, ReadsRepliesInAnyPieces)
{
	const std::string bytes = "+OK\r\n"
							  ":-12\r\n"
							  "$-1\r\n"
							  "*-1\r\n"
							  "-WRONGTYPE no such\r\n"
							  "$0\r\n\r\n"
							  "*0\r\n"
							  "$5\r\na\r\n\0b\r\n"
							  "*3\r\n$1\r\nx\r\n*2\r\n:1\r\n*2\r\n$-1\r\n+s\r\n$2\r\nyz\r\n"
							  "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:7\r\n"s;
	const std::string expected = "+OK;-12;nil;nil;-WRONGTYPE no such;\"\";[];\"a\r\n\0b\";"
								 "[\"x\" [1 [nil +s]] \"yz\"];[[[[[[7]]]]]];"s;
	for (std::size_t piece = 1; piece <= bytes.size(); piece++)
		EXPECT_EQ(decoded(bytes, piece), expected) << piece;
}

TEST(RedisDecoder, ReadsTheSameWhateverItTakesAtOnce)
{
	const std::string texts = "*3\r\n$2\r\nab\r\n$-1\r\n$9\r\n*1\r\n$1\r\na\r\n";
	const std::string bytes = texts + "+OK\r\n" + texts + texts + "*2\r\n" + texts + texts +
							  "$11\r\n*1\r\n$-1\r\n\r\n\r\n" + texts + ":1\r\n*0\r\n" + texts;
	Decoder alone(kMax);
	const std::string expected = read(alone, bytes, false);
	EXPECT_EQ(std::ranges::count(expected, ';'), 10);
	for (const bool takes : {false, true})
		for (std::size_t cut = 0; cut <= bytes.size(); cut++) {
			Decoder decoder(kMax);
			const std::string_view all = bytes;
			const std::string first = read(decoder, all.substr(0, cut), takes);
			EXPECT_EQ(first + read(decoder, all.substr(cut), takes), expected) << cut;
		}
}

// As hiredis reads them; what is left over is a good reply's rest, or is fed.
TEST(RedisDecoder, TakesWholeArraysOfTexts)
{
	const std::string_view wholes[] = {"*0\r\n", "*1\r\n$-1\r\n", "*1\r\n$0\r\n\r\n",
									   "*3\r\n$10\r\n0123456789\r\n$-1\r\n$4\r\n\r\n$1\r\n",
									   "*8\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n"
									   "$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n"};
	for (const std::string_view whole : wholes) {
		Decoder decoder(kMax);
		std::string bytes = std::string(whole) + "*1\r\n$1";
		std::string_view rest = bytes;
		const std::optional<Reply> reply = decoder.take_texts(rest);
		ASSERT_TRUE(reply) << whole;
		EXPECT_EQ(shown(*reply) + ";", decoded(whole, 1));
		EXPECT_EQ(rest, "*1\r\n$1");
		std::ranges::fill(bytes, 'x'); // they were copied
		EXPECT_EQ(shown(*reply) + ";", decoded(whole, 1));
		for (std::size_t size = 0; size < whole.size(); size++) {
			std::string_view part = whole.substr(0, size);
			EXPECT_FALSE(decoder.take_texts(part)) << part;
			EXPECT_EQ(part.size(), size);
		}
	}
}

TEST(RedisDecoder, TakesNothingElse)
{
	for (std::string_view bytes :
		 {"+OK\r\n", "$1\r\na\r\n", "*-1\r\n", "*1\r\n:1\r\n", "*1\r\n+a\r\n", "*1\r\n*0\r\n",
		  "*1\r\n$1\r\nab\r\n", "*1\r\n$2\r\na\r\n", "*01\r\n$1\r\na\r\n", "*1\r\n$01\r\na\r\n",
		  "*1\r\n$\r\n\r\n", "*\r\n", "*1\n$1\na\n", "*1\r\n$-2\r\n", "*1\r\n$1\r\naxx",
		  "*1\r\n$1234567\r\na\r\n", "*1\r\n$ 1\r\na\r\n",
		  "*9\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n"}) {
		Decoder decoder(kMax);
		const std::string_view all = bytes;
		EXPECT_FALSE(decoder.take_texts(bytes)) << all;
		EXPECT_EQ(bytes, all);
	}
	const std::string_view texts = "*1\r\n$1\r\na\r\n";
	std::string_view bytes = texts;
	EXPECT_FALSE(Decoder(texts.size() - 1).take_texts(bytes));
	EXPECT_TRUE(Decoder(texts.size()).take_texts(bytes));
}

// In the middle of a reply, an array is a part of it, or of one of its texts.
TEST(RedisDecoder, TakesNothingWithinAReply)
{
	const std::string_view texts = "*1\r\n$1\r\na\r\n";
	for (const std::string_view begun :
		 {"*2\r\n", "*2\r\n$1\r\nb\r\n", "$11\r\n", "$12\r\nb", "*"}) {
		Decoder decoder(kMax);
		decoder.feed(begun);
		EXPECT_FALSE(decoder.next());
		std::string_view bytes = texts;
		EXPECT_FALSE(decoder.take_texts(bytes)) << begun;
	}
	Decoder decoder(kMax);
	decoder.feed("+OK\r\n");
	EXPECT_TRUE(decoder.next());
	EXPECT_FALSE(decoder.next());
	std::string_view bytes = texts;
	EXPECT_TRUE(decoder.take_texts(bytes));
	decoder.feed("?\r\n");
	EXPECT_FALSE(decoder.next());
	bytes = texts;
	EXPECT_FALSE(decoder.take_texts(bytes));
}

TEST(RedisDecoder, ReadsMuchAndLong)
{
	std::string big(300'000, 'x');
	for (std::size_t i = 0; i < big.size(); i++)
		big[i] = static_cast<char>('a' + i % 23);
	const std::string bytes =
		bulk("one") + bulk(big) + "*2\r\n" + bulk(big) + bulk("two") + ":3\r\n";
	const std::string expected = "\"one\";\"" + big + "\";[\"" + big + "\" \"two\"];3;";
	for (const std::size_t piece : {std::size_t{7}, std::size_t{1000}, kBite, bytes.size()})
		EXPECT_TRUE(decoded(bytes, piece) == expected) << piece;

	std::string many, all;
	for (int i = 0; i < 20'000; i++) {
		many += bulk(std::to_string(i));
		all += "\"" + std::to_string(i) + "\";";
	}
	EXPECT_TRUE(decoded(many, kBite) == all);
	const std::string array = decoded("*20000\r\n" + many, kBite);
	EXPECT_EQ(array.size(), all.size() + 2) << array.substr(0, 100);
}

TEST(RedisDecoder, RefusesWhatIsNoReply)
{
	for (const std::string_view bytes :
		 {"HTTP/1.1 400 Bad Request\r\n", "?\r\n", ":12x\r\n", "$-2\r\n", "*-2\r\n", "$x\r\n",
		  "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:7\r\n",
		  "*1000001\r\n:1\r\n", "*99999999999999999999\r\n"})
		for (const std::size_t piece : {1, 3, 1000})
			EXPECT_EQ(decoded(bytes, piece), "failed") << bytes;
	EXPECT_EQ(decoded("+OK\r\n?", 100), "+OK;failed");
	EXPECT_EQ(decoded("*2\r\n$3\r\nabc\r\n!", 1), "failed");
}

TEST(RedisDecoder, BoundsAReply)
{
	const std::string fits(9'980, 'x');
	EXPECT_EQ(decoded(bulk(fits) + bulk(fits) + bulk(fits), 100, 10'000),
			  "\"" + fits + "\";\"" + fits + "\";\"" + fits + "\";");
	EXPECT_EQ(decoded(bulk(fits + std::string(200, 'x')), 100, 10'000), "failed");
	EXPECT_EQ(decoded("+" + std::string(20'000, 'x'), 100, 10'000), "failed");
	EXPECT_EQ(decoded("*1000\r\n" + std::string(20'000, ' '), 100, 10'000), "failed");
}

TEST(RedisReply, IsNilBeyondItsEnd)
{
	Reply array = Reply::of_array();
	array.add(Reply::of_integer(5));
	EXPECT_EQ(array[0].integer(), 5);
	EXPECT_TRUE(array[1].is_nil());
	EXPECT_TRUE(array[0][3][4].is_nil());
	EXPECT_EQ(array.text(), "");
}

TEST(RedisReply, HasTheFirstWordOfAnError)
{
	const auto code_of = [](std::string_view text) {
		return std::string(Reply::of_text(Reply::Kind::error, text).error_code());
	};
	EXPECT_EQ(code_of("WRONGTYPE Operation against"), "WRONGTYPE");
	EXPECT_EQ(code_of("NOAUTH"), "NOAUTH");
	EXPECT_EQ(code_of(""), "ERR");
	EXPECT_EQ(code_of("secret text"), "ERR");
	EXPECT_EQ(code_of(std::string(33, 'A')), "ERR");
	EXPECT_EQ(Reply::of_text(Reply::Kind::text, "OOM").error_code(), "");
}

TEST(RedisCommand, IsAnArrayOfWords)
{
	EXPECT_EQ(written({"GET", "a b"}), "*2\r\n$3\r\nGET\r\n$3\r\na b\r\n");
	Command command{"SET"};
	command.add("k\0\r\n"s).add(common::Secret("token")).add("PX").add(-5LL).add(7).add("");
	const std::string bytes = "*7\r\n$3\r\nSET\r\n$4\r\nk\0\r\n\r\n$5\r\ntoken\r\n$2\r\nPX\r\n"
							  "$2\r\n-5\r\n$1\r\n7\r\n$0\r\n\r\n"s;
	EXPECT_EQ(written(command), bytes);
	const Command moved = std::move(command);
	EXPECT_EQ(written(moved), bytes);
	EXPECT_EQ(decoded(bytes, 1), "[\"SET\" \"k\0\r\n\" \"token\" \"PX\" \"-5\" \"7\" \"\"];"s);
}

} // namespace sidecar::redis
