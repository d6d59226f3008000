#include "sends.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace
{

std::atomic<long> sends = 0;

} // namespace

// In place of the C library's, in this program alone.
extern "C" ssize_t send(int socket, const void *bytes, size_t size, int flags)
{
	sends++;
	return syscall(SYS_sendto, socket, bytes, size, flags, nullptr, 0);
}

long tests::count_of_sends() noexcept
{
	return sends;
}
