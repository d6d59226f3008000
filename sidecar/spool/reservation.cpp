#include "spool/reservation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <stdexcept>

namespace sidecar::spool
{

namespace
{

constexpr std::size_t kRehearsedBytes = 4096;

// Otherwise a write beyond the limit would fail, or send SIGXFSZ.
void check_limit(const SpoolDirectory &directory)
{
	rlimit limit{};
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < kReservedBytes)
		throw error_of(EFBIG, directory.path());
}

} // namespace

Reservation::Reservation(SpoolDirectory directory, std::int64_t fence)
	: directory_(std::move(directory))
{
	check_limit(directory_);
	for (int number = 1; number <= kMaxNumber; ++number) {
		if (!create(FileName{fence, number}))
			continue;
		try {
			allocate();
		} catch (const Error &) {
			// No destructor runs.
			unlinkat(directory_.get(), name_.reservation().c_str(), 0);
			throw;
		}
		return;
	}
	throw Error(fmt::format("spool: {} has {} files of fence {}, which should be one: look what "
							"makes them",
							directory_.path(), kMaxNumber, fence));
}

Reservation::~Reservation()
{
	// The lock goes with the descriptor, after the name.
	if (file_ && !is_complete_)
		unlinkat(directory_.get(), name_.reservation().c_str(), 0);
}

bool Reservation::create(const FileName &name)
{
	struct stat found;
	if (fstatat(directory_.get(), name.answer().c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0)
		return false;
	const std::string path = name.reservation();
	Descriptor file(openat(directory_.get(), path.c_str(),
						   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (!file) {
		if (errno == EEXIST)
			return false;
		throw directory_.error();
	}
	// Before it is locked, another process may think that it was left behind.
	if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			return false;
		const Error error = directory_.error();
		unlinkat(directory_.get(), path.c_str(), 0);
		throw error;
	}
	if (fstat(file.get(), &found) != 0 || found.st_nlink == 0)
		return false;
	name_ = name;
	file_ = std::move(file);
	return true;
}

void Reservation::allocate() const
{
	// The size stays 0. That distinguishes a file without an answer from one with a part of it.
	int done = 0;
	do
		done = fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, 0, kReservedBytes);
	while (done != 0 && errno == EINTR);
	if (done == 0)
		return;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		throw directory_.error();
	// The file system cannot do that: write as many NULs as the answer may have bytes.
	put(std::string(kReservedBytes, '\0'));
	if (fsync(file_.get()) != 0)
		throw directory_.error();
}

void Reservation::put(std::string_view bytes) const
{
	off_t at = 0;
	while (!bytes.empty()) {
		const ssize_t written = pwrite(file_.get(), bytes.data(), bytes.size(), at);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			throw directory_.error(name_.reservation());
		bytes.remove_prefix(static_cast<std::size_t>(written));
		at += written;
	}
}

std::string Reservation::write(const Entry &entry)
{
	if (entry.fence != name_.fence || is_complete_)
		throw std::logic_error("a reservation is for one answer, of its own fence");
	const std::string line = write_entry(entry);
	put(line);
	// Frees the blocks that it does not need.
	if (ftruncate(file_.get(), static_cast<off_t>(line.size())) != 0)
		throw directory_.error(name_.reservation());
	is_complete_ = true;
	if (fsync(file_.get()) != 0)
		throw directory_.error(name_.reservation());
	const std::string name = publish();
	directory_.sync();
	return name;
}

// Even if there is no room for the new name in the directory, the answer is safe: list()
// renames it later.
std::string Reservation::publish()
{
	const std::string from = name_.reservation();
	try {
		FileName to = name_;
		while (directory_.rename(from, to.answer()) == SpoolDirectory::Renamed::taken)
			++to.number;
		return to.answer();
	} catch (const Error &) {
		return from;
	}
}

void Reservation::rehearse()
{
	// NULs, so that the file does not look like an answer if the process ends here.
	put(std::string(kRehearsedBytes, '\0'));
	if (fsync(file_.get()) != 0)
		throw directory_.error(name_.reservation());
	directory_.sync();
}

} // namespace sidecar::spool
