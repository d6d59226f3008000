// A spool that cannot be used: told before the provider is called, and why.
#include "spool_fixture.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "spool/directory.hpp"

using namespace sidecar::spool;

namespace
{

// Both look, and say the same.
bool is_refused(const std::string &path, std::string_view reason)
{
	const Spool spool(path);
	const std::string said = error_of_call([&spool] { spool.reserve(7); });
	return contains(said, reason) && contains(said, path) &&
		   contains(error_of_call([&spool] { spool.probe(); }), reason);
}

bool fill(const std::string &path, std::size_t leave)
{
	const int file = open((path + "/full").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char block[4096] = {};
	off_t size = 0;
	while (write(file, block, sizeof block) == sizeof block)
		size += static_cast<off_t>(sizeof block);
	const bool is_left = ftruncate(file, size - static_cast<off_t>(leave)) == 0;
	close(file);
	return is_left;
}

} // namespace

TEST(SpoolFaults, ADirectoryThatIsMissingOrNone)
{
	const SpoolFixture place;
	place.put("file", "");
	EXPECT_TRUE(is_refused(place.file("missing"), "is missing: make the directory"));
	EXPECT_TRUE(is_refused(place.file("file"), "is not a directory"));
	EXPECT_TRUE(
		contains(error_of_call([&] { Spool(place.file("missing")).list(); }), "is missing"));
}

TEST(SpoolFaults, ADirectoryThatOthersMayUse)
{
	const SpoolFixture place;
	for (const unsigned mode : {0755U, 0701U, 0770U, 01777U, 0600U, 0500U}) {
		chmod(place.path().c_str(), mode);
		EXPECT_TRUE(is_refused(place.path(), "chmod 0700 " + place.path())) << mode;
	}
	chmod(place.path().c_str(), 0700);
	EXPECT_NO_THROW(place.spool().probe());
	std::filesystem::create_directory_symlink(place.path(), place.path() + "-link");
	EXPECT_NO_THROW(Spool(place.path() + "-link").probe()) << "as DynamicUser= has it";
	std::filesystem::remove(place.path() + "-link");
}

TEST(SpoolFaults, ADirectoryOfAnother)
{
	if (geteuid() != 0) {
		EXPECT_TRUE(is_refused("/root", "/root"));
		return;
	}
	const SpoolFixture place;
	ASSERT_EQ(chown(place.path().c_str(), 65534, 65534), 0);
	EXPECT_TRUE(is_refused(place.path(), "belongs to uid 65534"));
}

TEST(SpoolFaults, ALimitOfTheProcess)
{
	const SpoolFixture place;
	const auto is_refused_below = [&place](auto resource, rlim_t limit, const char *reason) {
		return in_child([&] {
			const rlimit low{limit, limit};
			return setrlimit(resource, &low) == 0 && is_refused(place.path(), reason);
		});
	};
	EXPECT_TRUE(is_refused_below(RLIMIT_FSIZE, 64 * 1024, "LimitFSIZE="));
#ifndef __SANITIZE_ADDRESS__ // the sanitizer opens descriptors of its own to look at types
	EXPECT_TRUE(is_refused_below(RLIMIT_NOFILE, 3, "LimitNOFILE="));
#endif
	EXPECT_TRUE(place.names().empty());
}

TEST(SpoolFaults, AFullDisk)
{
	const SpoolFixture place;
	on_tmpfs(place.path(), 1024 * 1024, [&place] {
		return fill(place.path(), 256 * 1024) && is_refused(place.path(), "full: free space") &&
			   place.names() == std::vector<std::string>{"full"};
	});
}

// The disk fills up between the reservation and the answer, which is written all the same.
TEST(SpoolFaults, ADiskThatFillsUpAfterTheReservation)
{
	const SpoolFixture place;
	on_tmpfs(place.path(), 1024 * 1024, [&place] {
		Reservation reservation = place.spool().reserve(7);
		if (!fill(place.path(), 0) || !is_refused(place.path(), "full: free space"))
			return false;
		const std::string name = reservation.write(entry_of(7, std::string(256 * 1024, 'x')));
		return name == "7.spool" &&
			   place.spool().read(name).entry.sealed == std::string(256 * 1024, 'x');
	});
}

// Larger than what is reserved: it is taken if there is room, and else nothing is left.
TEST(SpoolFaults, AnAnswerBeyondTheReservation)
{
	const SpoolFixture place;
	on_tmpfs(place.path(), 1024 * 1024, [&place] {
		const Entry large = entry_of(7, std::string(2 * kReservedBytes, 'x'));
		place.spool().remove(place.spool().reserve(7).write(large));
		const std::string said = error_of_call([&] {
			Reservation reservation = place.spool().reserve(7);
			fill(place.path(), 0);
			reservation.write(large);
		});
		return contains(said, "full: free space") &&
			   place.names() == std::vector<std::string>{"full"};
	});
}

TEST(SpoolFaults, AReadOnlyFileSystem)
{
	const SpoolFixture place;
	on_tmpfs(place.path(), 1024 * 1024, [&place] {
		place.put("7.spool", write_entry(entry_of(7)));
		if (mount("none", place.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
			return false;
		const Spool spool = place.spool();
		return is_refused(place.path(), "read-only") &&
			   contains(error_of_call([&spool] { spool.remove("7.spool"); }), "read-only") &&
			   contains(error_of_call([&spool] { spool.set_aside("7.spool", ""); }), "read-only") &&
			   spool.list().answers == std::vector<std::string>{"7.spool"} &&
			   spool.read("7.spool").state == Reading::State::answer;
	});
}

TEST(SpoolFaults, EachErrorSaysWhatToDo)
{
	const std::pair<int, const char *> cases[] = {
		{ENOENT, "OAUTH_SPOOL_DIR"},
		{EACCES, "chown"},
		{EPERM, "chown"},
		{EROFS, "read-only"},
		{ENOSPC, "full"},
		{EDQUOT, "quota"},
		{EFBIG, "ulimit -f"},
		{EMFILE, "ulimit -n"},
		{EIO, "kernel's log"},
		{ENOLCK, "file locks"},
		{ENOTDIR, "not a directory"},
		{ENAMETOOLONG, "too long"},
	};
	for (const auto &[number, part] : cases) {
		const std::string said = error_of(number, "/srv/spool").what();
		EXPECT_TRUE(contains(said, part));
		EXPECT_TRUE(contains(said, "spool: /srv/spool ")) << number;
	}
}

TEST(SpoolFaults, ADirectoryThatMayNotLast)
{
	const SpoolFixture place; // in /tmp, as testing::TempDir() is unless told otherwise
	const bool is_in_tmp = std::filesystem::canonical(place.path()).string().starts_with("/tmp/");
	EXPECT_TRUE(contains(doubt_about_lasting(place.path()), is_in_tmp ? "is in /tmp" : ""));
	EXPECT_EQ(doubt_about_lasting("/usr/share"), "");
	EXPECT_EQ(doubt_about_lasting("/nowhere"), "");
	on_tmpfs(place.path(), 1024 * 1024,
			 [&place] { return contains(doubt_about_lasting(place.path()), "is on a tmpfs"); });
}
