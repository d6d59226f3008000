#include "client/curl_client.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "client/curl_loop.hpp"

namespace sidecar::client
{

namespace asio = boost::asio;
using oauth::ProviderAnswer;

namespace
{

ProviderAnswer failed(ProviderAnswer::Failure failure)
{
	ProviderAnswer answer;
	answer.failure = failure;
	return answer;
}

} // namespace

// A call under way. Its timer never expires: the answer cancels it.
struct CurlClient::Call {
	explicit Call(const asio::any_io_executor &executor)
		: answered(executor, asio::steady_timer::time_point::max())
	{
	}

	void end(ProviderAnswer given)
	{
		answer = std::move(given);
		is_answered = true;
		answered.cancel();
	}

	asio::steady_timer answered;
	bool is_answered = false;
	ProviderAnswer answer;
};

CurlClient::CurlClient(asio::any_io_executor executor, std::string ca_file, CurlLimits limits)
	: executor_(std::move(executor)), ca_file_(std::move(ca_file)), limits_(limits),
	  loop_(std::make_unique<CurlLoop>())
{
}

CurlClient::~CurlClient() = default;

asio::awaitable<ProviderAnswer> CurlClient::send(oauth::ProviderRequest request)
{
	if (*calls_ >= limits_.calls)
		co_return failed(ProviderAnswer::Failure::busy);
	const std::shared_ptr<Call> call = start(std::move(request));
	if (!call)
		co_return failed(ProviderAnswer::Failure::broken);
	boost::system::error_code ignored;
	if (!call->is_answered)
		co_await call->answered.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	co_return std::move(call->answer);
}

// Nothing if memory is short, or a header is not one line.
std::shared_ptr<CurlClient::Call> CurlClient::start(oauth::ProviderRequest request)
{
	try {
		auto call = std::make_shared<Call>(executor_);
		auto transfer = std::make_unique<Transfer>(std::move(request), ca_file_, limits_);
		loop_->submit(std::move(transfer),
					  [executor = executor_, calls = calls_, call](ProviderAnswer answer) {
						  asio::post(executor, [calls, call, answer = std::move(answer)]() mutable {
							  (*calls)--;
							  call->end(std::move(answer));
						  });
					  });
		(*calls_)++;
		return call;
	} catch (const std::exception &) {
		return nullptr;
	}
}

} // namespace sidecar::client
