#include "base/task.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <stdexcept>

namespace asio = boost::asio;

namespace
{

asio::awaitable<void> ends(bool &done)
{
	done = true;
	co_return;
}

template <typename Exception>
asio::awaitable<void> fails(Exception exception)
{
	throw exception;
	co_return;
}

template <typename Exception>
void run(Exception exception)
{
	asio::io_context loop;
	sidecar::start_task(loop.get_executor(), "a task", fails(exception));
	loop.run();
}

} // namespace

TEST(Task, Ends)
{
	asio::io_context loop;
	bool done = false;
	sidecar::start_task(loop.get_executor(), "a task", ends(done));
	loop.run();
	EXPECT_TRUE(done);
}

TEST(Task, AnExceptionEndsTheProcess) // C21
{
	const auto one = testing::ExitedWithCode(1);
	EXPECT_EXIT(run(std::runtime_error("the reason")), one, "\"task\":\"a task\".*the reason");
	EXPECT_EXIT(run(7), one, "\"task\":\"a task\".*unknown type");
}
