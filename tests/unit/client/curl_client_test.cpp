#include "client/curl_client.hpp"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <chrono>
#include <optional>
#include <vector>

#include "../database/loop.hpp"
#include "client/endpoint_host.hpp"
#include "scripted_server.hpp"

using common::Secret;
using sidecar::client::CurlClient;
using sidecar::client::CurlLimits;
using sidecar::oauth::ProviderAnswer;
using sidecar::oauth::ProviderRequest;
using tests::finish;
using tests::Peer;
using tests::ScriptedServer;
using Failure = ProviderAnswer::Failure;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace
{

using Clock = std::chrono::steady_clock;

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Type: Application/JSON ; charset=utf-8\r\n"
						"Content-Length: 2\r\n\r\n{}";

class CurlClientTest : public testing::Test
{
protected:
	void TearDown() override
	{
		client.reset();
		io.restart();
		io.run(); // nothing may be left
	}

	void open(CurlLimits limits = {}, const std::string &ca_file = {})
	{
		client.emplace(io.get_executor(), ca_file, limits);
	}
	static ProviderRequest get(const std::string &url)
	{
		ProviderRequest request;
		request.url = url;
		return request;
	}
	static ProviderRequest post(const std::string &url, const std::string &body = "code=x")
	{
		ProviderRequest request;
		request.kind = ProviderRequest::Kind::token;
		request.url = url;
		request.headers.emplace_back("Content-Type", Secret("application/x-www-form-urlencoded"));
		request.headers.emplace_back("Authorization", Secret("Basic eA=="));
		request.body = Secret(body);
		return request;
	}
	ProviderAnswer send(ProviderRequest request)
	{
		return finish(io, client->send(std::move(request)));
	}

	struct Running {
		std::optional<ProviderAnswer> answer;
	};
	static asio::awaitable<void> await(asio::awaitable<ProviderAnswer> work,
									   std::shared_ptr<Running> running)
	{
		running->answer = co_await std::move(work);
	}
	std::shared_ptr<Running> spawn(ProviderRequest request)
	{
		auto running = std::make_shared<Running>();
		asio::co_spawn(io, await(client->send(std::move(request)), running), asio::detached);
		return running;
	}
	void run_until_answered(const std::shared_ptr<Running> &running)
	{
		io.restart();
		while (!running->answer)
			io.run_one();
	}

	asio::io_context io{1};
	std::optional<CurlClient> client;
};

void answer_ok(Peer &peer, const std::string &)
{
	peer.write(kOk);
}

void never_answer(Peer &peer, const std::string &)
{
	peer.read_request();
}

} // namespace

TEST_F(CurlClientTest, Gets)
{
	ScriptedServer server(answer_ok);
	open();
	const ProviderAnswer answer = send(get(server.url("/.well-known?x=1")));
	EXPECT_EQ(answer.failure, Failure::none);
	EXPECT_EQ(answer.status, 200);
	EXPECT_EQ(answer.content_type, "application/json");
	EXPECT_EQ(answer.retry_after, "");
	EXPECT_EQ(answer.body.reveal(), "{}");
	const std::string request = server.last_request();
	EXPECT_TRUE(request.starts_with("GET /.well-known?x=1 HTTP/1.1\r\n")) << request;
	EXPECT_NE(request.find("User-Agent: oauth-sidecar/"), request.npos);
	EXPECT_NE(request.find("Accept-Encoding: identity\r\n"), request.npos) << request;
	EXPECT_EQ(request.find("Cookie"), request.npos);
}

TEST_F(CurlClientTest, PostsOnANewConnectionEachTime)
{
	ScriptedServer server(answer_ok);
	open();
	const std::string body(100'000, 'b');
	EXPECT_EQ(send(post(server.url("/token"), body)).status, 200);
	const std::string request = server.last_request();
	EXPECT_TRUE(request.starts_with("POST /token HTTP/1.1\r\n"));
	EXPECT_NE(request.find("Authorization: Basic eA==\r\n"), request.npos);
	EXPECT_EQ(request.find("Expect"), request.npos);
	EXPECT_TRUE(request.ends_with("\r\n\r\n" + body));
	EXPECT_EQ(send(post(server.url("/token"))).status, 200);
	EXPECT_EQ(server.connections(), 2);
	EXPECT_EQ(send(get(server.url())).status, 200);
	EXPECT_EQ(send(get(server.url())).status, 200);
	EXPECT_EQ(server.connections(), 3);
}

TEST_F(CurlClientTest, TakesChunks)
{
	ScriptedServer server([](Peer &peer, const std::string &) {
		peer.write("HTTP/1.1 429 Slow down\r\nTransfer-Encoding: chunked\r\nRetry-After: 17\r\n"
				   "Set-Cookie: a=b\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
	});
	open();
	const ProviderAnswer answer = send(get(server.url()));
	EXPECT_EQ(answer.failure, Failure::none);
	EXPECT_EQ(answer.status, 429);
	EXPECT_EQ(answer.body.reveal(), "abcde");
	EXPECT_EQ(answer.retry_after, "17");
	EXPECT_EQ(answer.content_type, "");
	send(get(server.url()));
	EXPECT_EQ(server.last_request().find("Cookie"), std::string::npos);
}

TEST_F(CurlClientTest, FollowsNoRedirect) // F14
{
	ScriptedServer second(answer_ok);
	ScriptedServer first([&](Peer &peer, const std::string &) {
		peer.write("HTTP/1.1 307 There\r\nLocation: " + second.url() +
				   "\r\nContent-Length: 0\r\n\r\n");
	});
	open();
	EXPECT_EQ(send(post(first.url())).status, 307);
	EXPECT_EQ(send(get(first.url())).status, 307);
	EXPECT_EQ(second.connections(), 0);
}

TEST_F(CurlClientTest, SlowPeerTimesOutAndDelaysNobody) // F14
{
	ScriptedServer slow([](Peer &peer, const std::string &) {
		peer.write("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n");
		while (peer.write("x"))
			std::this_thread::sleep_for(100ms);
	});
	ScriptedServer quick(answer_ok);
	CurlLimits limits;
	limits.total = 3s; // the whole answer would take six
	open(limits);
	const auto waiting = spawn(post(slow.url()));
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(send(post(quick.url())).status, 200);
	EXPECT_FALSE(waiting->answer.has_value());
	run_until_answered(waiting);
	EXPECT_EQ(waiting->answer->failure, Failure::timeout);
	EXPECT_TRUE(waiting->answer->body.empty());
}

TEST_F(CurlClientTest, SendsOnceWhateverComes)
{
	ScriptedServer server([](Peer &peer, const std::string &request) {
		if (request.starts_with("GET"))
			answer_ok(peer, request);
		else
			peer.hang_up();
	});
	open();
	EXPECT_EQ(send(get(server.url())).status, 200); // leaves a connection
	EXPECT_EQ(send(post(server.url())).failure, Failure::broken);
	EXPECT_EQ(server.requests(), 2);
}

TEST_F(CurlClientTest, BoundsBodies) // F13
{
	ScriptedServer declared([](Peer &peer, const std::string &) {
		peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n");
		peer.write(std::string(2097152, 'x'));
	});
	ScriptedServer endless([](Peer &peer, const std::string &) {
		peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		const std::string chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
		while (peer.write(chunk))
			continue;
	});
	open();
	for (const std::string &url : {declared.url(), endless.url()}) {
		const ProviderAnswer answer = send(post(url));
		EXPECT_EQ(answer.failure, Failure::too_large);
		EXPECT_TRUE(answer.body.empty());
	}
	ScriptedServer exact([](Peer &peer, const std::string &) {
		peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
		peer.write(std::string(1048576, 'x'));
	});
	EXPECT_EQ(send(get(exact.url())).body.size(), 1048576U);
}

TEST_F(CurlClientTest, BoundsHeaders)
{
	ScriptedServer server([](Peer &peer, const std::string &) {
		peer.write("HTTP/1.1 200 OK\r\n");
		while (peer.write("X-Filler: " + std::string(1000, 'x') + "\r\n"))
			continue;
	});
	open();
	EXPECT_EQ(send(get(server.url())).failure, Failure::too_large);
}

TEST_F(CurlClientTest, RefusesWhatIsNoHttp)
{
	ScriptedServer server([](Peer &peer, const std::string &) { peer.write("hello\r\n\r\n"); });
	open();
	EXPECT_EQ(send(get(server.url())).failure, Failure::broken);
	for (const char *url : {"", "http://", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://x/",
							"http://example.invalid/", "https://user:pw@127.0.0.1:1/"})
		EXPECT_EQ(send(get(url)).failure, Failure::broken) << url;
}

TEST_F(CurlClientTest, RefusesHeadersOfTwoLines)
{
	ScriptedServer server(answer_ok);
	open();
	ProviderRequest request = get(server.url());
	request.headers.emplace_back("X", Secret("a\r\nY: b"));
	EXPECT_EQ(send(std::move(request)).failure, Failure::broken);
	EXPECT_EQ(server.connections(), 0);
}

// Nobody asked for it, and there may be a rotated token in it.
TEST_F(CurlClientTest, ReadsWhatIsCompressed)
{
	// {"a":1}, by gzip
	constexpr std::string_view kZipped(
		"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x32\xac\x05\x00"
		"\xaf\xac\x1b\x56\x07\x00\x00\x00",
		27);
	std::string asked;
	ScriptedServer server([&](Peer &peer, const std::string &head) {
		asked = head;
		peer.write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 27\r\n\r\n" +
				   std::string(kZipped));
	});
	open();
	const ProviderAnswer answer = send(post(server.url()));
	EXPECT_EQ(answer.failure, Failure::none);
	EXPECT_EQ(answer.body.reveal(), "{\"a\":1}");
	EXPECT_NE(asked.find("Accept-Encoding: identity\r\n"), asked.npos) << asked;
}

TEST_F(CurlClientTest, TellsWhatStandsBesideTheBody)
{
	const auto head = [](std::string_view lines) {
		return [lines](Peer &peer, const std::string &) {
			peer.write("HTTP/1.1 " + std::string(lines) + "\r\nContent-Length: 0\r\n\r\n");
		};
	};
	ScriptedServer moved(head("308 X\r\nLocation: https://u:p@op.example/token?code=x#y")),
		refused(head("401 X\r\nWWW-Authenticate: Bearer error=\"invalid_token\"")),
		well(head("200 X\r\nLocation: /x\r\nWWW-Authenticate: Basic"));
	open();
	EXPECT_EQ(send(post(moved.url())).detail, "Location: https://op.example/token");
	EXPECT_EQ(send(post(refused.url())).detail, "WWW-Authenticate: Bearer error=\"invalid_token\"");
	EXPECT_EQ(send(post(well.url())).detail, "");
}

TEST_F(CurlClientTest, TellsWhyThereIsNoConnection)
{
	std::string closed;
	{
		ScriptedServer server(answer_ok);
		closed = server.url();
	}
	open();
	const ProviderAnswer unconnected = send(get(closed));
	EXPECT_EQ(unconnected.failure, Failure::connect);
	EXPECT_NE(unconnected.detail.find("connect to 127.0.0.1"), std::string::npos)
		<< unconnected.detail;
	EXPECT_EQ(send(get("https://no-such-host.invalid/")).failure, Failure::resolve);
}

// T12: once a byte may have left, nobody knows what the provider did.
TEST_F(CurlClientTest, TellsWhetherTheRequestWasSent)
{
	std::string closed;
	{
		ScriptedServer server(answer_ok);
		closed = server.url();
	}
	const tests::Certificate ours;
	ScriptedServer secure(answer_ok, &ours), plain(answer_ok), silent(never_answer);
	std::string named = secure.url(), handshake = silent.url();
	named.replace(named.find("127.0.0.1"), 9, "localhost");
	handshake.replace(0, 4, "https");
	CurlLimits limits;
	limits.connect = 300ms;
	open(limits, ours.file);
	for (const std::string &url : {closed, std::string("https://no-such-host.invalid/"), named,
								   handshake, std::string("ftp://127.0.0.1/")}) {
		const ProviderAnswer answer = send(post(url));
		EXPECT_NE(answer.failure, Failure::none) << url;
		EXPECT_FALSE(answer.was_sent) << url;
	}

	const auto cut_after = [](std::string_view part) {
		return [part](Peer &peer, const std::string &) {
			peer.write(part);
			peer.hang_up();
		};
	};
	ScriptedServer nothing(cut_after("")), half(cut_after("HTTP/1.1 200 O")),
		body(cut_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")),
		garbage(cut_after("hello\r\n\r\n")), secure_cut(cut_after(""), &ours);
	for (const ScriptedServer *server : {&nothing, &half, &body, &garbage, &secure_cut}) {
		const ProviderAnswer answer = send(post(server->url()));
		EXPECT_EQ(answer.failure, Failure::broken) << server->url();
		EXPECT_TRUE(answer.was_sent) << server->url();
		EXPECT_EQ(server->requests(), 1);
	}
	EXPECT_TRUE(send(post(secure.url())).was_sent);
	limits.total = 300ms;
	open(limits);
	const ProviderAnswer late = send(post(silent.url()));
	EXPECT_EQ(late.failure, Failure::timeout);
	EXPECT_TRUE(late.was_sent);
	limits.calls = 0;
	open(limits);
	const ProviderAnswer busy = send(post(plain.url()));
	EXPECT_EQ(busy.failure, Failure::busy);
	EXPECT_FALSE(busy.was_sent);
	EXPECT_EQ(plain.requests(), 0);
}

TEST_F(CurlClientTest, VerifiesCertificates) // F14
{
	const tests::Certificate ours, foreign;
	ScriptedServer server(answer_ok, &ours);
	open({}, ours.file);
	const ProviderAnswer answer = send(post(server.url()));
	EXPECT_EQ(answer.failure, Failure::none);
	EXPECT_EQ(answer.status, 200);
	EXPECT_EQ(server.requests(), 1);
	// The right certificate, for another name.
	std::string named = server.url();
	named.replace(named.find("127.0.0.1"), 9, "localhost");
	EXPECT_EQ(send(post(named)).failure, Failure::tls);
	for (const std::string &file : {foreign.file, std::string("/nowhere.pem"), std::string()}) {
		open({}, file);
		EXPECT_EQ(send(post(server.url())).failure, Failure::tls) << file;
	}
	EXPECT_EQ(server.requests(), 1);
}

TEST_F(CurlClientTest, SilentHandshakeIsNoConnection)
{
	ScriptedServer server(answer_ok); // waits for a request, and is sent a ClientHello
	CurlLimits limits;
	limits.connect = 300ms;
	open(limits);
	std::string url = server.url();
	url.replace(0, 4, "https");
	EXPECT_EQ(send(post(url)).failure, Failure::connect);
}

TEST_F(CurlClientTest, BoundsCalls)
{
	ScriptedServer one(never_answer), other(answer_ok);
	CurlLimits limits;
	limits.calls = 2;
	limits.total = 500ms;
	open(limits);
	const auto first = spawn(post(one.url()));
	EXPECT_EQ(send(post(other.url())).status, 200);
	const auto second = spawn(post(one.url()));
	io.restart();
	io.poll();
	EXPECT_EQ(send(post(other.url())).failure, Failure::busy);
	run_until_answered(first);
	run_until_answered(second);
	EXPECT_EQ(first->answer->failure, Failure::timeout);
	EXPECT_EQ(send(post(other.url())).status, 200);
}

TEST_F(CurlClientTest, ManyAtOnce)
{
	ScriptedServer server(answer_ok);
	open();
	std::vector<std::shared_ptr<Running>> all;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 32; i++)
			all.push_back(spawn(i % 2 == 0 ? post(server.url()) : get(server.url())));
		for (const auto &running : all)
			run_until_answered(running);
	}
	for (const auto &running : all)
		EXPECT_EQ(running->answer->status, 200);
	EXPECT_EQ(server.requests(), 160);
}

TEST_F(CurlClientTest, EndsWithCallsUnderWay)
{
	ScriptedServer server(never_answer);
	open();
	const auto running = spawn(post(server.url()));
	io.run_for(100ms);
	EXPECT_EQ(server.requests(), 1);
	const auto unsent = spawn(post(server.url()));
	io.restart();
	io.poll();
	const auto start = Clock::now();
	client.reset();
	EXPECT_LT(Clock::now() - start, 10s);
	run_until_answered(running);
	run_until_answered(unsent);
	EXPECT_EQ(running->answer->failure, Failure::broken);
	EXPECT_TRUE(running->answer->was_sent);
	EXPECT_EQ(unsent->answer->failure, Failure::broken);
}

TEST_F(CurlClientTest, MayBeLeftBehindByTheLoop)
{
	ScriptedServer server(never_answer);
	{
		asio::io_context other{1};
		CurlClient brief(other.get_executor(), "");
		auto running = std::make_shared<Running>();
		asio::co_spawn(other, await(brief.send(post(server.url())), running), asio::detached);
		other.run_for(50ms);
	}
	open();
}

TEST(EndpointHost, IsReadFromUrls)
{
	using sidecar::client::host_of;
	using sidecar::client::is_loopback;
	EXPECT_EQ(host_of("https://Op.Example/token"), "op.example:443");
	EXPECT_EQ(host_of("http://127.0.0.1:81/"), "127.0.0.1:81");
	EXPECT_EQ(host_of("nothing"), "");
	for (const char *near : {"http://localhost:1/", "http://127.0.0.1/", "http://127.9.9.9/",
							 "http://[::1]:8/", "http://LOCALHOST/"})
		EXPECT_TRUE(is_loopback(near)) << near;
	for (const char *far : {"http://localhost.example/", "http://128.0.0.1/", "http://[::2]/",
							"http://127.0.0.1.example/", "http://localhost@example.com/", ""})
		EXPECT_FALSE(is_loopback(far)) << far;
}
