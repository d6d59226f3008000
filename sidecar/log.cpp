#include "log.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <iterator>

namespace sidecar::log
{

namespace
{

std::atomic<Level> lowest = Level::info;
constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};

// What is not plain ASCII is escaped, so that no line can forge another or
// reach a terminal.
void append_text(std::string &line, std::string_view text)
{
	line += '"';
	for (const char c : text)
		if (c == '"' || c == '\\')
			(line += '\\') += c;
		else if (c >= 0x20 && c < 0x7f)
			line += c;
		else
			fmt::format_to(std::back_inserter(line), "\\u{:04x}", static_cast<unsigned char>(c));
	line += '"';
}

void append_time(std::string &line)
{
	timeval now{};
	gettimeofday(&now, nullptr);
	tm utc{};
	gmtime_r(&now.tv_sec, &utc);
	fmt::format_to(std::back_inserter(line), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
				   utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
				   utc.tm_sec, now.tv_usec / 1000);
}

void append_value(std::string &line, const Field &field)
{
	if (const auto *text = std::get_if<std::string_view>(&field.value))
		append_text(line, *text);
	else if (const auto *number = std::get_if<std::int64_t>(&field.value))
		fmt::format_to(std::back_inserter(line), "{}", *number);
	else
		fmt::format_to(std::back_inserter(line), "{:.3f}", std::get<double>(field.value));
}

// A pipe that has room has it for so many bytes (PIPE_BUF), and takes them in one
// piece; so lines of two threads do not mix.
constexpr std::size_t kMaxLineBytes = 4096;

// A log that nobody takes must not stop the daemon: what does not go into it now
// is dropped, and counted in the next line.
void put(const std::string &line)
{
	static std::atomic<long> dropped = 0;
	pollfd sink{STDERR_FILENO, POLLOUT, 0};
	if (line.size() > kMaxLineBytes || poll(&sink, 1, 0) != 1 || (sink.revents & POLLOUT) == 0) {
		dropped++;
		return;
	}
	[[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
	if (const long missing = dropped.exchange(0); missing != 0)
		warning("lines of the log were dropped", {{"count", std::int64_t(missing)}});
}

} // namespace

bool set_level(std::string_view name) noexcept
{
	for (std::size_t i = 0; i < std::size(kNames); i++)
		if (kNames[i] == name) {
			lowest = static_cast<Level>(i);
			return true;
		}
	return false;
}

void write(Level level, std::string_view message, std::initializer_list<Field> fields)
{
	if (level < lowest)
		return;
	std::string line = "{\"time\":\"";
	append_time(line);
	line += "\",\"level\":\"";
	line += kNames[static_cast<int>(level)];
	line += "\",\"message\":";
	append_text(line, message);
	for (const Field &field : fields) {
		line += ',';
		append_text(line, field.name);
		line += ':';
		append_value(line, field);
	}
	line += "}\n";
	put(line);
}

} // namespace sidecar::log
