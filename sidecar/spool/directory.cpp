#include "spool/directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace sidecar::spool
{

namespace
{

bool is_there(int directory, const std::string &name)
{
	struct stat found;
	return fstatat(directory, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0;
}

// For file systems without RENAME_NOREPLACE (NFS): link() also fails if the name is taken.
// The last call is for file systems without links. It is safe, because only the spool writes
// into the directory, and each process uses names of its own.
int rename_by_link(int directory, const std::string &from, const std::string &to)
{
	if (linkat(directory, from.c_str(), directory, to.c_str(), 0) == 0)
		return unlinkat(directory, from.c_str(), 0);
	if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
		return -1;
	if (is_there(directory, to)) {
		errno = EEXIST;
		return -1;
	}
	return renameat(directory, from.c_str(), directory, to.c_str());
}

struct FileSystem {
	unsigned long type; // of statfs()
	const char *name;
};

constexpr std::array<FileSystem, 2> kInMemory{{{0x01021994, "tmpfs"}, {0x858458f6, "ramfs"}}};
constexpr unsigned long kOverlay = 0x794c7630;

} // namespace

SpoolDirectory::SpoolDirectory(std::string path)
	: path_(std::move(path)), descriptor_(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))
{
	struct stat found;
	if (!descriptor_ || fstat(get(), &found) != 0)
		throw error();
	if (found.st_uid != geteuid())
		throw Error(fmt::format("spool: {0} belongs to uid {1}, and this process runs as uid {2}: "
								"run it as the directory's owner, or chown {2} {0}",
								path_, found.st_uid, geteuid()));
	if ((found.st_mode & 077) != 0 || (found.st_mode & 0700) != 0700)
		throw Error(fmt::format("spool: {0} has mode {1:04o}, and only its owner may use it: chmod "
								"0700 {0}",
								path_, found.st_mode & 07777U));
}

Error SpoolDirectory::error(std::string_view file) const
{
	const int number = errno;
	return error_of(number, file.empty() ? path_ : fmt::format("{}/{}", path_, file));
}

void SpoolDirectory::sync() const
{
	// On some file systems this does nothing.
	if (fsync(get()) != 0 && errno != EINVAL)
		throw error();
}

SpoolDirectory::Renamed SpoolDirectory::rename(const std::string &from, const std::string &to) const
{
	int done = renameat2(get(), from.c_str(), get(), to.c_str(), RENAME_NOREPLACE);
	if (done != 0 && (errno == EINVAL || errno == ENOSYS))
		done = rename_by_link(get(), from, to);
	if (done == 0)
		return Renamed::done;
	if (errno == EEXIST)
		return Renamed::taken;
	if (errno == ENOENT)
		return Renamed::gone;
	throw error(from);
}

std::string doubt_about_lasting(const std::string &path)
{
	struct statfs found;
	if (statfs(path.c_str(), &found) != 0)
		return {};
	const auto type = static_cast<unsigned long>(found.f_type) & 0xffffffffUL;
	for (const FileSystem &system : kInMemory)
		if (type == system.type)
			return fmt::format("{} is on a {}, in memory: an answer in it is lost when the machine "
							   "stops; set OAUTH_SPOOL_DIR to a directory on a disk",
							   path, system.name);
	if (type == kOverlay)
		return fmt::format("{} is on an overlay, as a container's own files are: an answer in it "
						   "is lost with the container; mount a volume there",
						   path);
	const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr),
														   std::free);
	const std::string_view place = real ? std::string_view(real.get()) : path;
	for (const std::string_view temporary : {"/tmp", "/var/tmp"})
		if (place == temporary || place.starts_with(std::string(temporary) + '/'))
			return fmt::format("{} is in {}, which is cleaned at times: set OAUTH_SPOOL_DIR to a "
							   "directory that lasts",
							   path, temporary);
	return {};
}

} // namespace sidecar::spool
