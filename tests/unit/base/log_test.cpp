#include "base/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <future>
#include <string>
#include <string_view>
#include <vector>

namespace sidecar
{

using namespace std::chrono_literals;

namespace
{

// Standard error is a pipe as long as this lives.
class Pipe
{
public:
	Pipe() : before_(dup(STDERR_FILENO))
	{
		EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
		EXPECT_EQ(fcntl(ends_[1], F_SETPIPE_SZ, 4096), 4096);
		dup2(ends_[1], STDERR_FILENO);
	}
	~Pipe()
	{
		dup2(before_, STDERR_FILENO);
		for (const int end : {ends_[0], ends_[1], before_})
			close(end);
	}
	Pipe(const Pipe &) = delete;
	Pipe &operator=(const Pipe &) = delete;

	std::string read_some()
	{
		char bytes[65536];
		const ssize_t size = read(ends_[0], bytes, sizeof bytes);
		return {bytes, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
	}

private:
	int before_;
	int ends_[2];
};

} // namespace

// Several threads find the last room of the pipe at once: it has room for one of these lines. A
// second one would wait for a reader.
TEST(Log, NoThreadWaitsForAReader)
{
	constexpr int kThreads = 4;
	const std::string text(1000, 'x'); // a longer one would be cut
	for (int round = 0; round < 1000; round++) {
		Pipe pipe;
		std::barrier start(kThreads);
		std::vector<std::future<void>> threads;
		for (int i = 0; i < kThreads; i++)
			threads.push_back(std::async(std::launch::async, [&] {
				start.arrive_and_wait();
				log::error("a line of a thread", {{"a", std::string_view(text)},
												  {"b", std::string_view(text)},
												  {"c", std::string_view(text)}});
			}));
		for (const std::future<void> &thread : threads) {
			const bool has_ended = thread.wait_for(10s) == std::future_status::ready;
			const std::string line = has_ended ? "" : pipe.read_some(); // lets it end
			ASSERT_TRUE(has_ended) << "a thread waits in round " << round;
		}
		EXPECT_TRUE(pipe.read_some().ends_with("}\n"));
	}
}

} // namespace sidecar
