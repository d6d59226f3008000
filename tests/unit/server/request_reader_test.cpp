// F10: what is no good request is refused, and always with the same
// answer, however its bytes are cut.
#include "server/request_reader.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace sidecar::server
{

namespace
{

using State = RequestReader::State;

struct Read {
	int status = 0; // 0: more is wanted, 200: whole
	http::Request request;
	bool keep_alive = false;
	std::string rest;
};

// Feeds the bytes in pieces of the sizes that `next` says.
template <typename Next>
Read read(std::string_view bytes, Next next)
{
	Read result;
	Buffer buffer;
	RequestReader reader;
	State state = State::more;
	while (state == State::more && !bytes.empty()) {
		const auto room = buffer.room();
		const auto size = std::min({room.size(), bytes.size(), std::size_t(next())});
		std::memcpy(room.data(), bytes.data(), size);
		buffer.added(size);
		bytes.remove_prefix(size);
		state = reader.feed(buffer);
	}
	if (state == State::refused)
		result.status = reader.status();
	if (state == State::whole) {
		result.status = 200;
		result.keep_alive = reader.keep_alive();
		result.request = std::move(reader.request());
		(result.rest = buffer.data()) += bytes;
	}
	return result;
}

Read read(std::string_view bytes)
{
	return read(bytes, [] { return 1 << 20; });
}

const std::string kLong(20000, 'a');

struct Case {
	std::string name;
	std::string bytes;
	int status;
};

std::string with(const std::string &headers)
{
	return "GET / HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}

const std::vector<Case> &cases()
{
	using namespace std::string_literals;
	static const std::string nul = "GET /\0a HTTP/1.1\r\nHost: h\r\n\r\n"s;
	static const std::vector<Case> all = {
		{"good", with(""), 200},
		{"empty lines before", "\r\n\r\n" + with(""), 200},
		{"http 1.0 without host", "GET / HTTP/1.0\r\n\r\n", 200},
		{"unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		{"method with a dash", "M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		{"long method", "ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
		{"odd method", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"tls", "\x16\x03\x01\x02", 400},
		{"no version", "GET /\r\nHost: h\r\n\r\n", 400},
		{"http 2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"http 1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505},
		{"http 0.9", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505},
		{"version in small letters", "GET / http/1.1\r\nHost: h\r\n\r\n", 400},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"two spaces before the version", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"tab", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"space at the end", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
		{"absolute form", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"authority form", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"NUL in the target", nul, 400},
		{"control character in the target", "GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"bytes over 7f in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two hosts", with("host: h\r\n"), 400},
		{"folded", with("X: a\r\n b\r\n"), 400},
		{"folded by a tab", with("X: a\r\n\tb\r\n"), 400},
		{"space before the first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
		{"space before the colon", with("X : a\r\n"), 400},
		{"no colon", with("X\r\n"), 400},
		{"no name", with(": a\r\n"), 400},
		{"odd name", with("X(: a\r\n"), 400},
		{"NUL in a value", with("X: a\0b\r\n"s), 400},
		{"control character in a value", with("X: a\x01\r\n"), 400},
		{"lone CR in a value", with("X: a\rb\r\n"), 400},
		{"lone LF", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
		{"lone LF in a header", with("X: a\nY: b\r\n"), 400},
		{"bytes over 7f in a value", with("X: \xc3\xa4\r\n"), 200},
		{"gzip", with("Transfer-Encoding: gzip\r\n"), 400},
		{"gzip and chunked", with("Transfer-Encoding: gzip, chunked\r\n"), 400},
		{"identity", with("Transfer-Encoding: identity\r\n"), 400},
		{"chunked twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
		 400},
		{"chunked with something", with("Transfer-Encoding: chunked;a=b\r\n"), 400},
		{"empty coding", with("Transfer-Encoding:\r\n"), 400},
		{"coding and length", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
		{"length and coding", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
		{"chunked in 1.0",
		 "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"two lengths", with("Content-Length: 0\r\nContent-Length: 0\r\n"), 400},
		{"list of lengths", with("Content-Length: 1,2\r\n"), 400},
		{"negative length", with("Content-Length: -1\r\n"), 400},
		{"signed length", with("Content-Length: +1\r\n"), 400},
		{"hexadecimal length", with("Content-Length: 0x1\r\n"), 400},
		{"empty length", with("Content-Length:\r\n"), 400},
		{"length over 64 bits", with("Content-Length: 18446744073709551617\r\n"), 400},
		{"body", with("Content-Length: 5\r\n") + "hello", 200},
		{"long body", with("Content-Length: 16384\r\n") + kLong.substr(0, 16384), 200},
		{"body too long", with("Content-Length: 16385\r\n"), 413},
		{"chunks", with("Transfer-Encoding: Chunked\r\n") + "5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n",
		 200},
		{"no chunks", with("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 200},
		{"trailer", with("Transfer-Encoding: chunked\r\n") + "0\r\nCookie: a=b\r\n\r\n", 200},
		{"chunks too long", with("Transfer-Encoding: chunked\r\n") + "ffff\r\n", 413},
		{"odd chunk", with("Transfer-Encoding: chunked\r\n") + "x\r\nhello", 400},
		{"chunk longer than said", with("Transfer-Encoding: chunked\r\n") + "1\r\nhello\r\n", 400},
		{"long extension", with("Transfer-Encoding: chunked\r\n") + "1;" + kLong, 400},
		{"long trailer", with("Transfer-Encoding: chunked\r\n") + "0\r\nX: " + kLong, 400},
		{"expectation", with("Expect: 100-continue\r\nContent-Length: 5\r\n"), 417},
		{"long target", "GET /" + kLong.substr(0, 8191) + " HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		{"target too long", "GET /" + kLong.substr(0, 8192) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
		{"target without end", "GET /" + kLong, 414},
		{"headers too long", with("X: " + kLong + "\r\n"), 431},
		{"headers without end", "GET / HTTP/1.1\r\nX: " + kLong, 431},
		{"unfinished", "GET / HTTP/1.1\r\nHost: h\r\n", 0},
	};
	return all;
}

} // namespace

TEST(RequestReader, RefusesWhatIsNoGoodRequest)
{
	for (const Case &one : cases())
		EXPECT_EQ(read(one.bytes).status, one.status) << one.name;
}

TEST(RequestReader, AnswersTheSameHoweverTheBytesAreCut)
{
	std::mt19937 random(1);
	for (const Case &one : cases()) {
		EXPECT_EQ(read(one.bytes, [] { return 1; }).status, one.status) << one.name;
		for (int round = 0; round < 20; round++)
			EXPECT_EQ(read(one.bytes, [&] { return 1 + random() % 40; }).status, one.status)
				<< one.name;
	}
}

TEST(RequestReader, CountsHeaders)
{
	std::string headers;
	for (std::size_t i = 1; i < kMaxHeaders; i++)
		headers += "X: y\r\n";
	EXPECT_EQ(read(with(headers)).status, 200);
	EXPECT_EQ(read(with(headers + "X: y\r\n")).status, 431);
}

TEST(RequestReader, TakesWhatEndpointsNeed)
{
	const Read one =
		read("GET /a/b?c=d&e=%20?f HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\n"
			 "cookie: b=2\r\nAuthorization: Bearer x \r\nSec-Purpose: Prefetch\r\n\r\nGET");
	EXPECT_EQ(one.request.method, "GET");
	EXPECT_EQ(one.request.path, "/a/b");
	EXPECT_EQ(one.request.query, "c=d&e=%20?f");
	EXPECT_EQ(one.request.cookie, "a=1; b=2");
	EXPECT_EQ(one.request.authorization, "Bearer x");
	EXPECT_TRUE(one.request.has_authorization);
	EXPECT_FALSE(one.request.has_doubled_header);
	EXPECT_TRUE(one.request.is_prefetch);
	EXPECT_TRUE(one.keep_alive);
	EXPECT_EQ(one.rest, "GET");
}

TEST(RequestReader, NoticesTwoAuthorizations)
{
	const Read one = read(with("Authorization: a\r\nauthorization: b\r\n"));
	EXPECT_TRUE(one.request.has_doubled_header);
	EXPECT_EQ(one.request.authorization, "a");
	EXPECT_TRUE(read(with("Authorization:\r\n")).request.has_authorization);
}

TEST(RequestReader, CountsTheBodyAndDropsIt)
{
	const Read one = read(with("Transfer-Encoding: chunked\r\n") +
						  "5\r\nhello\r\n1\r\n!\r\n0\r\nCookie: a=b\r\n\r\nrest");
	EXPECT_EQ(one.request.body_bytes, 6U);
	EXPECT_EQ(one.request.cookie, "");
	EXPECT_EQ(one.rest, "rest");
}

TEST(RequestReader, KnowsWhoStays)
{
	EXPECT_FALSE(read(with("Connection: close\r\n")).keep_alive);
	EXPECT_FALSE(read(with("Connection: keep-alive, Close\r\n")).keep_alive);
	EXPECT_TRUE(read(with("Connection: upgrade\r\nUpgrade: h2c\r\n")).keep_alive);
	EXPECT_FALSE(read("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

// Mutants of good requests: nothing here may crash, hang or read too far.
TEST(RequestReader, SurvivesMutants)
{
	std::mt19937 random(2);
	for (int round = 0; round < 20000; round++) {
		std::string bytes = cases()[random() % cases().size()].bytes.substr(0, 300);
		for (int change = random() % 4; change >= 0 && !bytes.empty(); change--) {
			const std::size_t at = random() % bytes.size();
			if (random() % 2)
				bytes[at] = static_cast<char>(random());
			else
				bytes.insert(at, 1, "\r\n :0"[random() % 5]);
		}
		const Read whole = read(bytes);
		const Read cut = read(bytes, [&] { return 1 + random() % 9; });
		EXPECT_EQ(whole.status, cut.status) << testing::PrintToString(bytes);
	}
}

} // namespace sidecar::server
