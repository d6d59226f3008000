// A spool directory for a test, and ways to break it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "spool/spool.hpp"

namespace sidecar::spool
{

// With mode 0700. The destructor removes it.
class SpoolFixture
{
public:
	SpoolFixture();
	~SpoolFixture();
	SpoolFixture(const SpoolFixture &) = delete;
	SpoolFixture &operator=(const SpoolFixture &) = delete;

	const std::string &path() const noexcept { return path_; }
	Spool spool() const { return Spool(path_); }
	std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
	void put(std::string_view name, std::string_view content, unsigned mode = 0600) const;
	std::string content(std::string_view name) const;
	std::vector<std::string> names() const; // sorted

private:
	std::string path_;
};

Entry entry_of(std::int64_t fence, std::string sealed = "gAAAAsealed");

// Runs in a child process; whether it returned true. It may end by _exit() or a signal.
bool in_child(const std::function<bool()> &work);

// Runs in a child process that has a tmpfs of so many bytes mounted at `path`, by a mount
// namespace that no other process sees. Skips the test where that is not allowed.
void on_tmpfs(const std::string &path, std::size_t bytes, const std::function<bool()> &work);

// The message of the Error that `work` throws; empty: it threw none.
std::string error_of_call(const std::function<void()> &work);

testing::AssertionResult contains(std::string_view text, std::string_view part);

} // namespace sidecar::spool
