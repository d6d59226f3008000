#include "spool_fixture.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>

namespace sidecar::spool
{

namespace
{

constexpr int kNotAllowed = 77;

int status_of_child(const std::function<int()> &work)
{
	const pid_t child = fork();
	if (child == 0)
		_exit(work());
	int status = 0;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// Without root, the user namespace gives the right to mount.
bool mount_tmpfs(const std::string &path, std::size_t bytes)
{
	const uid_t uid = geteuid();
	if (unshare(CLONE_NEWNS) != 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
			return false;
		std::ofstream("/proc/self/uid_map") << uid << " " << uid << " 1";
	}
	const std::string options = "mode=0700,size=" + std::to_string(bytes);
	return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
		   mount("tmpfs", path.c_str(), "tmpfs", 0, options.c_str()) == 0;
}

} // namespace

SpoolFixture::SpoolFixture()
{
	std::string name = testing::TempDir() + "spoolXXXXXX";
	if (mkdtemp(name.data()) == nullptr)
		throw std::runtime_error("mkdtemp");
	path_ = name;
}

SpoolFixture::~SpoolFixture()
{
	chmod(path_.c_str(), 0700);
	std::filesystem::remove_all(path_);
}

void SpoolFixture::put(std::string_view name, std::string_view content, unsigned mode) const
{
	std::ofstream(file(name)) << content;
	chmod(file(name).c_str(), mode);
}

std::string SpoolFixture::content(std::string_view name) const
{
	std::stringstream content;
	content << std::ifstream(file(name)).rdbuf();
	return content.str();
}

std::vector<std::string> SpoolFixture::names() const
{
	std::vector<std::string> names;
	for (const auto &found : std::filesystem::directory_iterator(path_))
		names.push_back(found.path().filename());
	std::ranges::sort(names);
	return names;
}

Entry entry_of(std::int64_t fence, std::string sealed)
{
	return {"7300000000000000001/16384",
			{"6f0b2c1e-0000-4000-8000-000000000001", "google.work", "user", "7"},
			fence,
			std::move(sealed)};
}

bool in_child(const std::function<bool()> &work)
{
	return status_of_child([&work] { return work() ? 0 : 1; }) == 0;
}

void on_tmpfs(const std::string &path, std::size_t bytes, const std::function<bool()> &work)
{
	const int status = status_of_child([&] {
		if (!mount_tmpfs(path, bytes))
			return kNotAllowed;
		return work() ? 0 : 1;
	});
	if (status == kNotAllowed)
		GTEST_SKIP() << "no tmpfs can be mounted here";
	EXPECT_EQ(status, 0);
}

std::string error_of_call(const std::function<void()> &work)
{
	try {
		work();
		return {};
	} catch (const Error &error) {
		return error.what();
	}
}

testing::AssertionResult contains(std::string_view text, std::string_view part)
{
	if (text.find(part) != std::string_view::npos)
		return testing::AssertionSuccess();
	std::cerr << "\"" << text << "\" lacks \"" << part << "\"\n"; // seen from a child, too
	return testing::AssertionFailure() << "\"" << text << "\" lacks \"" << part << "\"";
}

} // namespace sidecar::spool
