#include "settings/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kOpenToOthers =
	"the file can be read by group or others; chmod it to 600 or 400";

// With an access list (systemd's credentials have one) the group's bits are only
// the most that anybody on the list may do.
bool is_open_to_others(int descriptor, mode_t mode)
{
	const bool listed = fgetxattr(descriptor, "system.posix_acl_access", nullptr, 0) > 0;
	return (mode & (listed ? S_IROTH : S_IRGRP | S_IROTH)) != 0;
}

File read_open_file(int descriptor, std::size_t largest)
{
	File file;
	struct stat status {
	};
	if (fstat(descriptor, &status) != 0)
		file.error = errno;
	else if (!S_ISREG(status.st_mode))
		file.error = EINVAL;
	else if (status.st_size > static_cast<off_t>(largest))
		file.error = EFBIG;
	if (file.error != 0)
		return file;
	file.open_to_others = is_open_to_others(descriptor, status.st_mode);
	std::string text(static_cast<std::size_t>(status.st_size), '\0');
	// Of a regular file one call reads all that there is.
	const ssize_t count = read(descriptor, text.data(), text.size());
	if (count < 0)
		file.error = errno;
	text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
	file.content = common::Secret::take(text);
	return file;
}

std::string why(int error)
{
	switch (error) {
	case EFBIG:
		return "is too large";
	case EINVAL:
		return "is not a regular file";
	default:
		return std::string("cannot be read: ") + std::strerror(error);
	}
}

} // namespace

File read_file(const std::string &path, std::size_t largest)
{
	// Nonblocking: a pipe in place of a file must not stop the start.
	const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (descriptor < 0)
		return {.content = {}, .error = errno};
	File file = read_open_file(descriptor, largest);
	close(descriptor);
	return file;
}

std::string resolved_path(std::string_view path, const std::string &directory)
{
	return std::filesystem::path(directory) / path;
}

std::optional<common::Secret> read_secret_file(std::string_view setting, std::string_view path,
											   const std::string &directory,
											   Diagnostics &diagnostics)
{
	const File file = read_file(resolved_path(path, directory), kLargestSecret);
	if (file.error != 0) {
		diagnostics.error(setting, "the file that it names " + why(file.error));
		return std::nullopt;
	}
	if (file.open_to_others)
		diagnostics.warn(setting, kOpenToOthers);
	std::string_view line = file.content.reveal();
	if (line.ends_with('\n'))
		line.remove_suffix(1);
	if (line.ends_with('\r'))
		line.remove_suffix(1);
	return checked_line(setting, common::Secret(line), diagnostics);
}

void check_readable(std::string_view setting, const std::string &path, bool is_private,
					Diagnostics &diagnostics)
{
	const File file = read_file(path, kLargestConfiguration);
	if (file.error != 0)
		diagnostics.error(setting, "the file that it names " + why(file.error));
	else if (file.content.empty())
		diagnostics.error(setting, "the file that it names is empty");
	else if (is_private && file.open_to_others)
		diagnostics.warn(setting, kOpenToOthers);
}

} // namespace sidecar::settings
