#include "spool/spool.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <optional>

#include "spool/directory.hpp"

namespace sidecar::spool
{

namespace
{

// No answer is so large. A larger file is not ours, and is not read.
constexpr off_t kLargestFile = 4 * 1024 * 1024;

constexpr std::int64_t kFenceOfProbe = std::numeric_limits<std::int64_t>::max();

struct Close {
	void operator()(DIR *stream) const noexcept { closedir(stream); }
};

std::vector<std::string> names_in(const SpoolDirectory &directory)
{
	// A descriptor of its own, because readdir() moves its position.
	const int descriptor = openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const std::unique_ptr<DIR, Close> stream(descriptor < 0 ? nullptr : fdopendir(descriptor));
	if (!stream)
		throw directory.error();
	std::vector<std::string> names;
	errno = 0;
	while (const dirent *found = readdir(stream.get()))
		names.emplace_back(found->d_name);
	if (errno != 0)
		throw directory.error();
	return names;
}

// Why the file is not one of ours. Empty: it is.
std::string fault_of(const struct stat &file)
{
	if (S_ISLNK(file.st_mode))
		return "it is a symbolic link";
	if (!S_ISREG(file.st_mode))
		return "it is not a regular file";
	if (file.st_uid != geteuid())
		return fmt::format("it belongs to uid {}, and oauth-sidecar runs as uid {}", file.st_uid,
						   geteuid());
	if ((file.st_mode & 077) != 0)
		return fmt::format("its mode is {:04o}, so that others may use it", file.st_mode & 07777U);
	if (file.st_size > kLargestFile)
		return fmt::format("it has {} bytes, more than any answer", file.st_size);
	return {};
}

// Nothing if the disk fails.
std::optional<std::string> read_all(int file)
{
	std::string text;
	char part[16384];
	for (;;) {
		const ssize_t size = ::read(file, part, sizeof part);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return std::nullopt;
		if (size == 0 || text.size() > kLargestFile)
			return text;
		text.append(part, static_cast<std::size_t>(size));
	}
}

// Handles a ".<fence>.tmp". If its process lives, it is locked. If its process has died,
// there are three cases. It is empty: it is removed. It has a complete answer, or a part of
// one: it gets its name, and a reader will see that a part is damaged. Returns whether
// anything was done.
bool rescue(const SpoolDirectory &directory, const FileName &name)
{
	const std::string path = name.reservation();
	struct stat found, locked;
	// Opening a file of another kind may have side effects.
	if (fstatat(directory.get(), path.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0 ||
		!fault_of(found).empty())
		return false;
	const Descriptor file(
		openat(directory.get(), path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
	if (!file || flock(file.get(), LOCK_EX | LOCK_NB) != 0)
		return false;
	// Since it was opened, its process may have renamed it, and another may have reserved this
	// name.
	if (fstat(file.get(), &locked) != 0 ||
		fstatat(directory.get(), path.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0 ||
		locked.st_ino != found.st_ino)
		return false;
	const auto text = read_all(file.get());
	if (!text)
		return false;
	if (text->find_first_not_of('\0') == std::string::npos) {
		unlinkat(directory.get(), path.c_str(), 0);
		return true;
	}
	if (fsync(file.get()) != 0)
		return false;
	try {
		FileName to = name;
		while (directory.rename(path, to.answer()) == SpoolDirectory::Renamed::taken)
			++to.number;
		return true;
	} catch (const Error &) {
		return false; // no room for the name: it is safe under this one until the next round
	}
}

Reading damaged(std::string reason)
{
	return {Reading::State::damaged, {}, std::move(reason)};
}

} // namespace

void Spool::probe() const
{
	reserve(kFenceOfProbe).rehearse();
}

Reservation Spool::reserve(std::int64_t fence) const
{
	return Reservation(SpoolDirectory(directory_), fence);
}

Listing Spool::list() const
{
	const SpoolDirectory directory(directory_);
	bool is_changed = false;
	for (const std::string &name : names_in(directory))
		if (const auto reserved = parse_reservation_name(name))
			is_changed |= rescue(directory, *reserved);
	if (is_changed)
		directory.sync();
	Listing listing;
	for (std::string &name : names_in(directory))
		if (is_aside(name))
			++listing.set_aside;
		else if (is_answer(name))
			listing.answers.push_back(std::move(name));
	// Names without a fence come first, and are soon set aside.
	std::ranges::sort(listing.answers, {}, [](const std::string &name) {
		return parse_answer_name(name).value_or(FileName{});
	});
	return listing;
}

Reading Spool::read(const std::string &name) const
{
	const SpoolDirectory directory(directory_);
	const auto parsed = parse_answer_name(name);
	struct stat found;
	if (fstatat(directory.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return {};
		throw directory.error(name);
	}
	if (std::string fault = fault_of(found); !fault.empty())
		return damaged(std::move(fault));
	if (!parsed)
		return damaged("its name has no fence in it");
	const Descriptor file(
		openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
	if (!file && errno == ENOENT)
		return {};
	if (!file && (errno == EACCES || errno == EPERM))
		return damaged("oauth-sidecar may not read it");
	if (!file)
		throw directory.error(name);
	const auto text = read_all(file.get());
	if (!text)
		throw directory.error(name);
	auto entry = read_entry(*text);
	if (std::string *fault = std::get_if<std::string>(&entry))
		return damaged(std::move(*fault));
	if (std::get<Entry>(entry).fence != parsed->fence)
		return damaged("its name and its fence differ");
	return {Reading::State::answer, std::move(std::get<Entry>(entry)), {}};
}

std::string Spool::set_aside(const std::string &name, std::string_view reason) const
{
	const SpoolDirectory directory(directory_);
	for (int number = 1; number <= kMaxNumber; ++number) {
		const std::string to = aside_name(name, number);
		const SpoolDirectory::Renamed renamed = directory.rename(name, to);
		if (renamed == SpoolDirectory::Renamed::gone)
			return {};
		if (renamed == SpoolDirectory::Renamed::taken)
			continue;
		directory.sync();
		return fmt::format("spool: {}/{} is set aside as {}, and kept: {}", directory_, name, to,
						   reason);
	}
	throw Error(
		fmt::format("spool: {}/{} cannot be set aside: {} files of that name are; move them "
					"to another directory",
					directory_, name, kMaxNumber));
}

void Spool::remove(const std::string &name) const
{
	const SpoolDirectory directory(directory_);
	if (unlinkat(directory.get(), name.c_str(), 0) != 0 && errno != ENOENT)
		throw directory.error(name);
	directory.sync();
}

} // namespace sidecar::spool
