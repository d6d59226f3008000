// The baseline of the sidecar's numbers: a bare Beast server that answers every
// request with one constant, on one thread, with keep-alive and nothing else:
// no limits, no time-outs, no log.
//
//     bench_http PORT [BYTES]
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace
{

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);

http::response<http::string_body> answer(const std::string &body, bool keep_alive)
{
	http::response<http::string_body> response(http::status::ok, 11);
	response.set(http::field::content_type, "application/json");
	response.set(http::field::cache_control, "no-store");
	response.keep_alive(keep_alive);
	response.body() = body;
	response.prepare_payload();
	return response;
}

asio::awaitable<void> serve(tcp::socket socket, const std::string &body)
{
	boost::beast::flat_buffer buffer;
	bool goes_on = true;
	while (goes_on) {
		http::request<http::string_body> request;
		const auto [unread, in] = co_await http::async_read(socket, buffer, request, kToken);
		if (unread)
			break;
		auto response = answer(body, request.keep_alive());
		const auto [unsent, out] = co_await http::async_write(socket, response, kToken);
		goes_on = !unsent && response.keep_alive();
	}
}

asio::awaitable<void> listen(tcp::acceptor &acceptor, const std::string &body)
{
	for (;;) {
		auto [error, socket] = co_await acceptor.async_accept(kToken);
		if (error)
			continue;
		socket.set_option(tcp::no_delay(true));
		asio::co_spawn(acceptor.get_executor(), serve(std::move(socket), body), asio::detached);
	}
}

} // namespace

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		std::fprintf(stderr, "usage: bench_http PORT [BYTES]\n");
		return 2;
	}
	const auto port = static_cast<unsigned short>(std::atoi(argv[1]));
	const std::string body(argc == 3 ? std::strtoul(argv[2], nullptr, 10) : 300, 'x');
	asio::io_context context(1);
	tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), port});
	asio::co_spawn(context, listen(acceptor, body), asio::detached);
	context.run();
}
