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

// A call under way. Its timer never expires; the answer cancels it.
struct Call {
	explicit Call(const asio::any_io_executor &executor)
		: answered(executor, asio::steady_timer::time_point::max())
	{
	}

	asio::steady_timer answered;
	bool is_answered = false;
	ProviderAnswer answer;
};

} // namespace

// Everything except the loop belongs to the executor's thread.
struct CurlClient::Impl : std::enable_shared_from_this<Impl> {
	Impl(asio::any_io_executor on, std::string authorities, CurlLimits bounds)
		: executor(std::move(on)), ca_file(std::move(authorities)), limits(bounds)
	{
	}

	static asio::awaitable<ProviderAnswer> send(std::shared_ptr<Impl> self,
												oauth::ProviderRequest request);
	std::shared_ptr<Call> start(oauth::ProviderRequest request);
	void end(Call &call, ProviderAnswer answer);

	const asio::any_io_executor executor;
	const std::string ca_file;
	const CurlLimits limits;
	int calls = 0;
	std::unique_ptr<CurlLoop> loop = std::make_unique<CurlLoop>();
};

asio::awaitable<ProviderAnswer> CurlClient::Impl::send(std::shared_ptr<Impl> self,
													   oauth::ProviderRequest request)
{
	if (self->calls >= self->limits.calls)
		co_return failed(ProviderAnswer::Failure::busy);
	const std::shared_ptr<Call> call = self->start(std::move(request));
	boost::system::error_code ignored;
	if (call && !call->is_answered)
		co_await call->answered.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	if (!call)
		co_return failed(ProviderAnswer::Failure::broken);
	if (!call->is_answered) {
		ProviderAnswer answer = failed(ProviderAnswer::Failure::broken);
		answer.was_sent = true; // we must assume so
		co_return answer;
	}
	co_return std::move(call->answer);
}

// Nothing if the client is closed, or memory is short.
std::shared_ptr<Call> CurlClient::Impl::start(oauth::ProviderRequest request)
{
	if (!loop)
		return nullptr;
	try {
		auto call = std::make_shared<Call>(executor);
		auto transfer = std::make_unique<Transfer>(std::move(request), ca_file, limits);
		loop->submit(std::move(transfer), [self = shared_from_this(), call](ProviderAnswer answer) {
			asio::post(self->executor, [self, call, answer = std::move(answer)]() mutable {
				self->end(*call, std::move(answer));
			});
		});
		calls++;
		return call;
	} catch (const std::exception &) {
		return nullptr;
	}
}

void CurlClient::Impl::end(Call &call, ProviderAnswer answer)
{
	calls--;
	call.answer = std::move(answer);
	call.is_answered = true;
	call.answered.cancel();
}

CurlClient::CurlClient(asio::any_io_executor executor, std::string ca_file, CurlLimits limits)
	: impl_(std::make_shared<Impl>(std::move(executor), std::move(ca_file), limits))
{
}

CurlClient::~CurlClient()
{
	impl_->loop.reset();
}

asio::awaitable<ProviderAnswer> CurlClient::send(oauth::ProviderRequest request)
{
	return Impl::send(impl_, std::move(request));
}

} // namespace sidecar::client
