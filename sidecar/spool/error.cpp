#include "spool/error.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sidecar::spool
{

Error error_of(int number, std::string_view path)
{
	const auto uid = geteuid();
	const auto say = [path](std::string_view rest) {
		return Error(fmt::format("spool: {} {}", path, rest));
	};
	switch (number) {
	case ENOENT:
		return say(fmt::format("is missing: make the directory, with mode 0700 and owned by uid "
							   "{}, or set OAUTH_SPOOL_DIR to another",
							   uid));
	case ENOTDIR:
		return say("is not a directory: set OAUTH_SPOOL_DIR to one");
	case EACCES:
	case EPERM:
		return say(
			fmt::format("may not be used by uid {}, which oauth-sidecar runs as: give it the "
						"directory (chown {}, chmod 0700)",
						uid, uid));
	case EROFS:
		return say("is on a file system that is read-only: mount it read-write, or set "
				   "OAUTH_SPOOL_DIR to a directory on another");
	case ENOSPC:
		return say("is on a file system that is full: free space (or inodes) on it, or set "
				   "OAUTH_SPOOL_DIR to a directory on another");
	case EDQUOT:
		return say(
			fmt::format("is on a file system where the disk quota of uid {} is used up: free "
						"space, or raise the quota",
						uid));
	case EFBIG:
		return say(
			"cannot take an answer, because this process may not write so large a file: raise "
			"its limit (LimitFSIZE= of the service, ulimit -f)");
	case EMFILE:
	case ENFILE:
		return say("cannot be opened, because no file descriptor is left: raise the limit "
				   "(LimitNOFILE= of the service, ulimit -n)");
	case EIO:
		return say("is on a disk that fails (input/output error): see the kernel's log, and "
				   "set OAUTH_SPOOL_DIR to a directory on another");
	case ENOLCK:
	case EOPNOTSUPP:
		return say("is on a file system that lacks what the spool needs (file locks): set "
				   "OAUTH_SPOOL_DIR to a directory on a local one");
	default:
		return say(fmt::format("cannot be used: {}", std::generic_category().message(number)));
	}
}

} // namespace sidecar::spool
