#include "keys/key_source.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace oauth_tokens
{

namespace
{

// Thirty-two keys and their separators take under 1,500.
constexpr std::size_t kMaxSourceBytes = 4096;

// Text of a source, wiped when done with.
struct SourceText {
	std::array<char, kMaxSourceBytes> bytes;
	std::size_t size = 0;

	SourceText() = default;
	SourceText(const SourceText &) = delete;
	SourceText &operator=(const SourceText &) = delete;
	~SourceText() { common::wipe(bytes.data(), bytes.size()); }

	std::string_view view() const noexcept { return {bytes.data(), size}; }
};

class FileDescriptor
{
public:
	explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
	FileDescriptor(const FileDescriptor &) = delete;
	FileDescriptor &operator=(const FileDescriptor &) = delete;
	~FileDescriptor()
	{
		if (fd_ >= 0)
			::close(fd_);
	}
	int get() const noexcept { return fd_; }

private:
	int fd_;
};

template <typename... Args>
void set_fault(KeySet &out, KeyState state, const char *format, Args... args) noexcept
{
	out.state = state;
	out.count = 0;
	common::wipe(out.keys.data(), sizeof out.keys);
	std::snprintf(out.fault.data(), out.fault.size(), format, args...);
}

bool is_separator(char c) noexcept
{
	return c == ',' || c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

std::int64_t monotonic_ms() noexcept
{
	timespec now{};
	clock_gettime(CLOCK_MONOTONIC, &now);
	return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// The server's own rule for its TLS key: nothing for group and others, or reading
// for the group if the file is root's, as Debian's ssl-cert has it.
bool is_open_to_others(const struct stat &status) noexcept
{
	const mode_t forbidden = status.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
	return (status.st_mode & forbidden) != 0;
}

enum class ReadResult { complete, too_large, timed_out, failed };

// Reads to the end of `fd`, until `deadline_ms` if that is not negative.
ReadResult read_all(int fd, std::int64_t deadline_ms, SourceText &text) noexcept
{
	for (;;) {
		if (deadline_ms >= 0) {
			pollfd ready{fd, POLLIN, 0};
			const std::int64_t left = std::max<std::int64_t>(deadline_ms - monotonic_ms(), 0);
			const int polled = ::poll(&ready, 1, static_cast<int>(left));
			if (polled < 0 && errno == EINTR)
				continue;
			if (polled == 0)
				return ReadResult::timed_out;
		}
		if (text.size == text.bytes.size())
			return ReadResult::too_large;
		const ssize_t got =
			::read(fd, text.bytes.data() + text.size, text.bytes.size() - text.size);
		if (got == 0)
			return ReadResult::complete;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ReadResult::failed;
		text.size += static_cast<std::size_t>(got);
	}
}

// Waits for `child` until the deadline. False if it has not ended by then.
bool wait_until(pid_t child, std::int64_t deadline_ms, int &status) noexcept
{
	for (;;) {
		const pid_t ended = ::waitpid(child, &status, WNOHANG);
		if (ended == child)
			return true;
		if (ended < 0 && errno != EINTR)
			return false;
		if (monotonic_ms() >= deadline_ms)
			return false;
		const timespec pause{0, 10'000'000};
		nanosleep(&pause, nullptr);
	}
}

[[noreturn]] void become_command(const char *command, int output) noexcept
{
	::setpgid(0, 0); // so that a time-out can end its children too
	::prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, nullptr); // the postmaster starts with all blocked
	const int input = ::open("/dev/null", O_RDONLY);
	if (input < 0 || ::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0)
		::_exit(126);
	::execl("/bin/sh", "sh", "-c", command, static_cast<char *>(nullptr));
	::_exit(127);
}

// Bounds of the environment that execve() laid down, from /proc/self/stat.
bool initial_environment(char *&start, char *&end) noexcept
{
	std::FILE *stat = std::fopen("/proc/self/stat", "re");
	if (stat == nullptr)
		return false;
	std::array<char, 2048> line{};
	const bool read = std::fgets(line.data(), line.size(), stat) != nullptr;
	std::fclose(stat);
	// The second field is the command in brackets and may hold anything, so
	// count from the last bracket: env_start and env_end are fields 50 and 51.
	const char *field = read ? std::strrchr(line.data(), ')') : nullptr;
	for (int number = 2; field != nullptr && number < 50; number++)
		field = std::strchr(field + 1, ' ');
	unsigned long from = 0;
	unsigned long to = 0;
	if (field == nullptr || std::sscanf(field, " %lu %lu", &from, &to) != 2 || from == 0 ||
		to <= from)
		return false;
	start = reinterpret_cast<char *>(from);
	end = reinterpret_cast<char *>(to);
	return true;
}

void erase_variable() noexcept
{
	const std::size_t name_size = std::strlen(kKeyVariable);
	auto is_ours = [&](const char *entry, std::size_t size) {
		return size > name_size && std::memcmp(entry, kKeyVariable, name_size) == 0 &&
			   entry[name_size] == '=';
	};
	if (char *value = std::getenv(kKeyVariable); value != nullptr) {
		common::wipe(value, std::strlen(value));
		::unsetenv(kKeyVariable);
	}
	char *entry = nullptr;
	char *end = nullptr;
	if (!initial_environment(entry, end))
		return;
	while (entry < end) {
		const std::size_t size = ::strnlen(entry, static_cast<std::size_t>(end - entry));
		if (is_ours(entry, size))
			common::wipe(entry, size);
		entry += size + 1;
	}
}

} // namespace

void parse_keys(std::string_view text, const char *source, KeySet &out) noexcept
{
	out.wipe();
	EVP_Digest(text.data(), text.size(), out.digest.data(), nullptr, EVP_sha256(), nullptr);

	std::size_t at = 0;
	std::uint32_t count = 0;
	while (at < text.size()) {
		if (is_separator(text[at])) {
			at++;
			continue;
		}
		std::size_t end = at;
		while (end < text.size() && !is_separator(text[end]))
			end++;
		if (count == kMaxKeys)
			return set_fault(out, KeyState::malformed, "%s holds more than %zu keys", source,
							 kMaxKeys);
		const auto key = common::fernet::Key::parse(text.substr(at, end - at));
		if (!key && end - at != common::fernet::kKeyChars)
			return set_fault(out, KeyState::malformed,
							 "key %u of %s has %zu characters, and a Fernet key has %zu", count + 1,
							 source, end - at, common::fernet::kKeyChars);
		if (!key && common::fernet::is_in_standard_alphabet(text.substr(at, end - at)))
			return set_fault(out, KeyState::malformed,
							 "key %u of %s is in the alphabet of standard base64: the same key "
							 "with - for + and _ for / is right (tr '+/' '-_')",
							 count + 1, source);
		if (!key)
			return set_fault(out, KeyState::malformed, "key %u of %s is not valid base64url",
							 count + 1, source);
		std::copy_n(key->bytes().begin(), common::fernet::kKeyBytes, out.keys[count].begin());
		count++;
		at = end;
	}
	if (count == 0)
		return set_fault(out, KeyState::malformed, "%s holds no key", source);
	out.count = count;
	out.state = KeyState::ready;
}

void read_key_file(const char *path, KeySet &out) noexcept
{
	constexpr const char *source = "the key file";
	out.wipe();
	// O_NONBLOCK: a FIFO at this path must not stop the server.
	const FileDescriptor file(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	struct stat status {
	};
	if (file.get() < 0 || ::fstat(file.get(), &status) != 0)
		return set_fault(out, KeyState::missing, "%s cannot be opened: %s", source,
						 std::strerror(errno));
	if (!S_ISREG(status.st_mode))
		return set_fault(out, KeyState::malformed, "%s is not a regular file", source);
	if (status.st_uid != ::geteuid() && status.st_uid != 0)
		return set_fault(out, KeyState::missing,
						 "%s belongs to uid %u, and must belong to the server's user or to root",
						 source, static_cast<unsigned>(status.st_uid));
	if (is_open_to_others(status))
		return set_fault(out, KeyState::missing,
						 "%s has mode %04o: others may read or change it (0600 is right, or 0640 "
						 "where it belongs to root)",
						 source, static_cast<unsigned>(status.st_mode & 07777));

	SourceText text;
	switch (read_all(file.get(), -1, text)) {
	case ReadResult::complete:
		return parse_keys(text.view(), source, out);
	case ReadResult::too_large:
		return set_fault(out, KeyState::malformed, "%s is larger than %zu bytes", source,
						 kMaxSourceBytes);
	case ReadResult::timed_out:
	case ReadResult::failed:
		return set_fault(out, KeyState::missing, "%s cannot be read: %s", source,
						 std::strerror(errno));
	}
}

void run_key_command(const char *command, KeySet &out) noexcept
{
	constexpr const char *source = "the key command's output";
	out.wipe();
	int ends[2];
	if (::pipe2(ends, O_CLOEXEC) != 0)
		return set_fault(out, KeyState::missing, "the key command cannot be run: %s",
						 std::strerror(errno));
	const FileDescriptor output(ends[0]);
	pid_t child = -1;
	{
		const FileDescriptor input(ends[1]);
		child = ::fork();
		if (child == 0)
			become_command(command, input.get());
	}
	if (child < 0)
		return set_fault(out, KeyState::missing, "the key command cannot be run: %s",
						 std::strerror(errno));

	const std::int64_t deadline = monotonic_ms() + kKeyCommandSeconds * 1000;
	SourceText text;
	const ReadResult result = read_all(output.get(), deadline, text);
	int status = 0;
	const bool ended = result == ReadResult::complete && wait_until(child, deadline, status);
	if (!ended) {
		::kill(-child, SIGKILL);
		::kill(child, SIGKILL); // it may not have made its process group yet
		::waitpid(child, &status, 0);
	}
	if (result == ReadResult::too_large)
		return set_fault(out, KeyState::malformed, "%s is larger than %zu bytes", source,
						 kMaxSourceBytes);
	if (result == ReadResult::failed)
		return set_fault(out, KeyState::missing, "%s cannot be read", source);
	if (!ended)
		return set_fault(out, KeyState::missing, "the key command took more than %d seconds",
						 kKeyCommandSeconds);
	if (WIFSIGNALED(status))
		return set_fault(out, KeyState::missing, "the key command was ended by signal %d",
						 WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return set_fault(out, KeyState::missing, "the key command exited with %d",
						 WEXITSTATUS(status));
	parse_keys(text.view(), source, out);
}

void take_key_variable(bool erase, KeySet &out) noexcept
{
	if (const char *value = std::getenv(kKeyVariable); value != nullptr)
		parse_keys(value, kKeyVariable, out);
	else {
		out.wipe();
		set_fault(out, KeyState::missing, "%s", "no key is configured");
	}
	if (erase)
		erase_variable();
}

} // namespace oauth_tokens
