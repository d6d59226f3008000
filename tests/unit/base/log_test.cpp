#include "base/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace sidecar
{

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

void write_lines(int count)
{
	for (int i = 0; i < count; i++)
		log::error("a line of a thread", {{"number", std::int64_t(i)}});
}

} // namespace

// Several threads find the last room of the pipe at once. One of them would wait for a reader.
TEST(Log, NoThreadWaitsForAReader)
{
	for (int round = 0; round < 300; round++) {
		Pipe pipe;
		std::vector<std::thread> threads;
		for (int i = 0; i < 4; i++)
			threads.emplace_back(write_lines, 10);
		for (std::thread &thread : threads)
			thread.join();
		const std::string text = pipe.read_some();
		ASSERT_TRUE(text.starts_with("{\"time\":") && text.ends_with("}\n")) << text;
	}
}

} // namespace sidecar
