#include "settings/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kOpenToOthers =
	"the file can be read by group or others; chmod it to 600 or 400";

class Descriptor
{
public:
	// Without waiting: a pipe in place of a file must not stop the start.
	explicit Descriptor(const std::string &path)
		: number_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY))
	{
	}
	~Descriptor()
	{
		if (number_ >= 0)
			close(number_);
	}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;

	int number() const noexcept { return number_; }

private:
	int number_;
};

// With an access list (systemd's credentials have one) the group's bits are only
// the most that anybody on the list may do.
bool is_open_to_others(int descriptor, mode_t mode)
{
	const bool listed = fgetxattr(descriptor, "system.posix_acl_access", nullptr, 0) > 0;
	return (mode & (listed ? S_IROTH : S_IRGRP | S_IROTH)) != 0;
}

// 0, or errno.
int read_whole(int descriptor, std::string &text)
{
	std::size_t filled = 0;
	while (filled < text.size()) {
		const ssize_t count = read(descriptor, text.data() + filled, text.size() - filled);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno;
		if (count == 0)
			break;
		filled += static_cast<std::size_t>(count);
	}
	text.resize(filled);
	return 0;
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

void drop_line_break(std::string &text)
{
	if (text.ends_with('\n'))
		text.pop_back();
	if (text.ends_with('\r'))
		text.pop_back();
}

} // namespace

File read_file(const std::string &path, std::size_t largest)
{
	File file;
	const Descriptor descriptor(path);
	struct stat status {
	};
	if (descriptor.number() < 0 || fstat(descriptor.number(), &status) != 0)
		file.error = errno;
	else if (!S_ISREG(status.st_mode))
		file.error = EINVAL;
	else if (status.st_size > static_cast<off_t>(largest))
		file.error = EFBIG;
	if (file.error != 0)
		return file;
	file.open_to_others = is_open_to_others(descriptor.number(), status.st_mode);
	std::string text(static_cast<std::size_t>(status.st_size), '\0');
	file.error = read_whole(descriptor.number(), text);
	file.content = Secret::take(text);
	return file;
}

std::string resolved_path(std::string_view path, const std::string &directory)
{
	if (path.starts_with('/') || directory.empty())
		return std::string(path);
	return directory + "/" + std::string(path);
}

std::optional<Secret> read_secret_file(std::string_view setting, std::string_view path,
									   const std::string &directory, Diagnostics &diagnostics)
{
	File file = read_file(resolved_path(path, directory), kLargestSecret);
	if (file.error != 0) {
		diagnostics.error(setting, "the file that it names " + why(file.error));
		return std::nullopt;
	}
	if (file.open_to_others)
		diagnostics.warn(setting, kOpenToOthers);
	std::string text(file.content.reveal());
	drop_line_break(text);
	return Secret::take(text);
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
