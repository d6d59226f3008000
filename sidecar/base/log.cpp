#include "base/log.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <iterator>
#include <mutex>

#include "common/utf8.hpp"

namespace sidecar::log
{

namespace
{

std::atomic<Level> lowest = Level::info;
constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};

// The longest text in a line, as it is written. A line that is too long is dropped.
constexpr std::size_t kMaxTextBytes = 1024;

void append_escape(std::string &line, unsigned unit)
{
	fmt::format_to(std::back_inserter(line), "\\u{:04x}", unit);
}

// Code points above U+FFFF are two units (RFC 8259 section 7).
void append_escaped(std::string &line, char32_t code_point)
{
	if (code_point <= 0xffff) {
		append_escape(line, code_point);
	} else {
		append_escape(line, 0xd800 + ((code_point - 0x10000) >> 10));
		append_escape(line, 0xdc00 + (code_point & 0x3ff));
	}
}

// UTF-8 as it is. Characters that could forge another line, control a terminal or be
// invisible are escaped, and bytes that are not UTF-8 are replaced.
void append_text(std::string &line, std::string_view text)
{
	line += '"';
	const std::size_t end = line.size() + kMaxTextBytes;
	while (!text.empty() && line.size() < end) {
		const common::Character next = common::first_character(text);
		const std::string_view bytes = text.substr(0, next.length);
		if (bytes == "\"" || bytes == "\\")
			(line += '\\') += bytes;
		else if (!next.is_valid)
			common::append_utf8(line, common::kReplacement);
		else if (common::is_harmless(next.code_point))
			line += bytes;
		else
			append_escaped(line, next.code_point);
		text.remove_prefix(next.length);
	}
	line += text.empty() ? "\"" : "…\"";
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

// If a pipe has room, it has room for so many bytes (PIPE_BUF), and takes them in one piece.
// So lines of two threads do not mix.
constexpr std::size_t kMaxLineBytes = 4096;

// False if there is no room now. One thread at a time, or another could take the room that
// poll() has found, and write() would wait for a reader.
bool write_line(const std::string &line)
{
	static std::mutex mutex;
	const std::lock_guard lock(mutex);
	pollfd sink{STDERR_FILENO, POLLOUT, 0};
	if (line.size() > kMaxLineBytes || poll(&sink, 1, 0) != 1 || (sink.revents & POLLOUT) == 0)
		return false;
	[[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
	return true;
}

// If nobody reads the log, the daemon must not stop. Lines that cannot be written now are
// dropped, and counted in the next line.
void put(const std::string &line)
{
	static std::atomic<long> dropped = 0;
	if (!write_line(line))
		dropped++;
	else if (const long missing = dropped.exchange(0); missing != 0)
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
