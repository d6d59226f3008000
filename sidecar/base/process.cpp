#include "base/process.hpp"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/cpu_quota.hpp"

namespace sidecar::process
{

namespace
{

// Beyond 1,024 cores the call fails.
int cores_to_run_on()
{
	cpu_set_t cores;
	CPU_ZERO(&cores);
	if (sched_getaffinity(0, sizeof cores, &cores) != 0)
		return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
	return std::max(1, CPU_COUNT(&cores));
}

} // namespace

void harden()
{
	const rlimit none{0, 0};
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
	// By default they would end the process, without any drain.
	for (const int signal : {SIGHUP, SIGUSR1, SIGUSR2})
		std::signal(signal, SIG_IGN);
	std::signal(SIGPIPE, SIG_IGN);
	std::signal(SIGXFSZ, SIG_IGN); // if a file exceeds its limit, write() fails with EFBIG
	rlimit files{};
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

long descriptor_limit()
{
	rlimit files{};
	getrlimit(RLIMIT_NOFILE, &files);
	return static_cast<long>(files.rlim_cur);
}

int usable_cores()
{
	return cores_within(cores_to_run_on(), cpu_quota());
}

// The protocol is one datagram, so libsystemd is not needed.
void notify_service_manager(std::string_view state)
{
	const char *path = std::getenv("NOTIFY_SOCKET");
	sockaddr_un address{};
	if (path == nullptr || (path[0] != '/' && path[0] != '@') ||
		std::strlen(path) >= sizeof address.sun_path)
		return;
	address.sun_family = AF_UNIX;
	std::strcpy(address.sun_path, path);
	if (path[0] == '@') // an abstract socket
		address.sun_path[0] = '\0';
	const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (socket < 0)
		return;
	const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
	sendto(socket, state.data(), state.size(), MSG_NOSIGNAL,
		   reinterpret_cast<const sockaddr *>(&address), length);
	close(socket);
}

} // namespace sidecar::process
