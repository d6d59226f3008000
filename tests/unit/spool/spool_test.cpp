#include "spool_fixture.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <set>

using namespace sidecar::spool;

namespace
{

using Names = std::vector<std::string>;

std::string damage(const SpoolFixture &place, const std::string &name)
{
	const Reading reading = place.spool().read(name);
	return reading.state == Reading::State::damaged ? reading.reason : "";
}

} // namespace

TEST(Spool, AnAnswerIsWrittenListedReadAndRemoved)
{
	const SpoolFixture place;
	const Spool spool = place.spool();
	EXPECT_NO_THROW(spool.probe());
	EXPECT_EQ(place.names(), Names{}) << "the probe leaves nothing";
	Names written;
	for (const std::int64_t fence : {100, 9, 20}) {
		Reservation reservation = spool.reserve(fence);
		written.push_back(reservation.write(entry_of(fence, std::string(250'000, 'x'))));
	}
	EXPECT_EQ(written, (Names{"100.spool", "9.spool", "20.spool"}));
	struct stat file;
	ASSERT_EQ(stat(place.file("9.spool").c_str(), &file), 0);
	EXPECT_EQ(file.st_mode & 07777U, 0600U);
	EXPECT_EQ(spool.list().answers, (Names{"9.spool", "20.spool", "100.spool"})) << "oldest first";
	const Reading reading = spool.read("20.spool");
	ASSERT_EQ(reading.state, Reading::State::answer) << reading.reason;
	EXPECT_EQ(reading.entry.fence, 20);
	EXPECT_EQ(reading.entry.sealed.size(), 250'000U);
	for (const std::string &name : written)
		spool.remove(name);
	spool.remove("9.spool"); // another was first
	EXPECT_EQ(spool.read("9.spool").state, Reading::State::gone);
	EXPECT_EQ(spool.list().answers, Names{});
	EXPECT_EQ(place.names(), Names{});
}

TEST(Spool, AReservationHasItsBlocksAndGivesThemBack)
{
	const SpoolFixture place;
	const Spool spool = place.spool();
	struct stat file;
	{
		Reservation reservation = spool.reserve(7);
		ASSERT_EQ(stat(place.file(".7.tmp").c_str(), &file), 0);
		EXPECT_GE(static_cast<std::size_t>(file.st_blocks) * 512, kReservedBytes);
		reservation.write(entry_of(7));
	}
	ASSERT_EQ(stat(place.file("7.spool").c_str(), &file), 0);
	EXPECT_LT(static_cast<std::size_t>(file.st_blocks) * 512, kReservedBytes / 4);
}

TEST(Spool, AReservationThatIsNotUsedLeavesNothing)
{
	const SpoolFixture place;
	{
		const Reservation reservation = place.spool().reserve(7);
		EXPECT_EQ(place.names(), Names{".7.tmp"});
		EXPECT_EQ(place.spool().list().answers, Names{});
		EXPECT_EQ(place.names(), Names{".7.tmp"}) << "it is alive";
		Reservation moved = place.spool().reserve(8);
		const Reservation other(std::move(moved));
		EXPECT_EQ(place.names(), (Names{".7.tmp", ".8.tmp"}));
	}
	EXPECT_EQ(place.names(), Names{});
}

// Another process' reservation is left alone while that lives, and goes after it.
TEST(Spool, WhatADeadProcessReservedGoes)
{
	const SpoolFixture place;
	int ready[2];
	ASSERT_EQ(pipe(ready), 0);
	const pid_t child = fork();
	if (child == 0) {
		const Reservation reservation = place.spool().reserve(7);
		[[maybe_unused]] const auto told = write(ready[1], "r", 1);
		pause();
		_exit(0);
	}
	char byte;
	ASSERT_EQ(read(ready[0], &byte, 1), 1);
	EXPECT_EQ(place.spool().list().answers, Names{});
	EXPECT_EQ(place.names(), Names{".7.tmp"});
	kill(child, SIGKILL);
	waitpid(child, nullptr, 0);
	EXPECT_EQ(place.spool().list().answers, Names{});
	EXPECT_EQ(place.names(), Names{});
}

// The process died between write and rename.
TEST(Spool, AnAnswerWithoutItsNameIsFound)
{
	const SpoolFixture place;
	place.put(".7.tmp", write_entry(entry_of(7)));
	EXPECT_EQ(place.spool().list().answers, Names{"7.spool"});
	EXPECT_EQ(place.spool().read("7.spool").state, Reading::State::answer);
	EXPECT_EQ(place.names(), Names{"7.spool"});
}

TEST(Spool, HalfAnAnswerIsKeptAndToldOf)
{
	const SpoolFixture place;
	const std::string line = write_entry(entry_of(7));
	place.put(".7.tmp", line.substr(0, line.size() / 2));
	place.put(".8.tmp", line.substr(0, line.size() / 2) + std::string(1000, '\0'));
	place.put(".9.tmp", std::string(1000, '\0')); // on a file system that cannot reserve
	EXPECT_EQ(place.spool().list().answers, (Names{"7.spool", "8.spool"}));
	EXPECT_TRUE(contains(damage(place, "7.spool"), "ends in the middle"));
	EXPECT_TRUE(contains(damage(place, "8.spool"), "ends in the middle"));
	EXPECT_EQ(place.names(), (Names{"7.spool", "8.spool"}));
}

// T4: kill -9 at any moment. What was written once is there.
TEST(Spool, NoWrittenAnswerIsLostToAKill)
{
	for (int round = 0; round < 20; ++round) {
		const SpoolFixture place;
		int written[2];
		ASSERT_EQ(pipe(written), 0);
		const pid_t child = fork();
		if (child == 0) {
			for (std::int64_t fence = 1;; ++fence) {
				Reservation reservation = place.spool().reserve(fence);
				reservation.write(entry_of(fence, std::string(200'000, 'x')));
				[[maybe_unused]] const auto told = write(written[1], &fence, sizeof fence);
			}
		}
		close(written[1]);
		std::int64_t last = 0;
		for (int count = 0; count < 3; ++count)
			ASSERT_EQ(read(written[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
		usleep(static_cast<useconds_t>(round) * 150); // some other moment each time
		kill(child, SIGKILL);
		waitpid(child, nullptr, 0);
		for (std::int64_t more; read(written[0], &more, sizeof more) > 0;)
			last = more;
		close(written[0]);
		const auto listed = place.spool().list().answers;
		const std::set<std::string> names(listed.begin(), listed.end());
		for (std::int64_t fence = 1; fence <= last; ++fence) {
			const std::string name = std::to_string(fence) + ".spool";
			EXPECT_TRUE(names.contains(name)) << name;
			EXPECT_EQ(place.spool().read(name).state, Reading::State::answer) << name;
		}
		EXPECT_LE(names.size(), static_cast<std::size_t>(last) + 1);
		for (const std::string &name : place.names())
			EXPECT_FALSE(name.ends_with(".tmp")) << name;
	}
}

TEST(Spool, ANameThatIsTakenIsNotOverwritten)
{
	const SpoolFixture place;
	const Spool spool = place.spool();
	place.put("7.spool", "of another database");
	{
		Reservation first = spool.reserve(7), second = spool.reserve(7);
		place.put("7.3.spool", "came in between");
		EXPECT_EQ(second.write(entry_of(7)), "7.4.spool");
		EXPECT_EQ(first.write(entry_of(7)), "7.2.spool");
	}
	place.put(".7.tmp", write_entry(entry_of(7))); // of a dead process
	EXPECT_EQ(spool.list().answers,
			  (Names{"7.spool", "7.2.spool", "7.3.spool", "7.4.spool", "7.5.spool"}));
	EXPECT_EQ(place.content("7.spool"), "of another database");
	EXPECT_EQ(place.content("7.3.spool"), "came in between");
}

TEST(Spool, WhatIsDamagedIsNamedAndSetAside)
{
	const SpoolFixture place;
	const Spool spool = place.spool();
	const std::string good = write_entry(entry_of(7));
	place.put("1.spool", "");
	place.put("2.spool", "{}\n");
	place.put("3.spool", good); // of another fence
	place.put("4.spool", good, 0640);
	place.put("5.spool", std::string(4 * 1024 * 1024 + 1, 'x'));
	place.put("target", good);
	std::filesystem::create_symlink(place.file("target"), place.file("6.spool"));
	std::filesystem::create_symlink("nowhere", place.file("8.spool"));
	std::filesystem::create_directory(place.file("9.spool"));
	ASSERT_EQ(mkfifo(place.file("10.spool").c_str(), 0600), 0);
	place.put("x.spool", good);
	std::vector<std::pair<std::string, const char *>> cases = {
		{"x.spool", "no fence"},      {"1.spool", "ends in the middle"},
		{"2.spool", "version 1"},     {"3.spool", "name and its fence differ"},
		{"4.spool", "mode is 0640"},  {"5.spool", "4194305 bytes"},
		{"6.spool", "symbolic link"}, {"8.spool", "symbolic link"},
		{"9.spool", "not a regular"}, {"10.spool", "not a regular"},
	};
	if (geteuid() == 0) {
		place.put("11.spool", write_entry(entry_of(11)));
		ASSERT_EQ(chown(place.file("11.spool").c_str(), 65534, 65534), 0);
		cases.emplace_back("11.spool", "belongs to uid 65534");
	} else {
		place.put("11.spool", write_entry(entry_of(11)), 0);
		cases.emplace_back("11.spool", "may not read");
	}
	Names expected;
	for (const auto &[name, reason] : cases)
		expected.push_back(name);
	EXPECT_EQ(spool.list().answers, expected);
	for (const auto &[name, reason] : cases) {
		EXPECT_TRUE(contains(damage(place, name), reason)) << name;
		const std::string line = spool.set_aside(name, damage(place, name));
		EXPECT_TRUE(contains(line, place.file(name) + " is set aside as " + name + ".aside"));
		EXPECT_TRUE(contains(line, reason));
		EXPECT_EQ(spool.set_aside(name, "again"), "") << "it is gone";
	}
	EXPECT_EQ(spool.list().answers, Names{});
	EXPECT_EQ(spool.list().set_aside, cases.size());
	EXPECT_EQ(place.content("2.spool.aside"), "{}\n");
	EXPECT_EQ(place.content("target"), good);
}

TEST(Spool, WhatIsAsideIsNeverOverwritten)
{
	const SpoolFixture place;
	for (const char *content : {"first", "second", "third"}) {
		place.put("7.spool", content);
		place.spool().set_aside("7.spool", "it is damaged");
	}
	EXPECT_EQ(place.names(), (Names{"7.spool.aside", "7.spool.aside.2", "7.spool.aside.3"}));
	EXPECT_EQ(place.content("7.spool.aside"), "first");
	EXPECT_EQ(place.content("7.spool.aside.3"), "third");
	EXPECT_EQ(place.spool().list().set_aside, 3U);
}

TEST(Spool, OtherFilesAreLeftAlone)
{
	const SpoolFixture place;
	const Names others = {
		".0.tmp", ".tmp", ".x.tmp", "7", "7.spool~", "7.tmp", "oauth-sidecar.toml"};
	for (const std::string &name : others)
		place.put(name, "");
	std::filesystem::create_symlink("7", place.file(".8.tmp"));
	EXPECT_EQ(place.spool().list().answers, Names{});
	EXPECT_EQ(place.names().size(), others.size() + 1);
}

// Several at a time on one directory: each answer is read or gone, and none is lost.
TEST(Spool, ProcessesShareADirectory)
{
	const SpoolFixture place;
	const auto work = [&place](std::int64_t first) {
		const Spool spool = place.spool();
		for (std::int64_t fence = first; fence < first + 50; ++fence) {
			const std::string name = spool.reserve(fence).write(entry_of(fence));
			for (const std::string &other : spool.list().answers)
				if (spool.read(other).state == Reading::State::damaged)
					return false;
			if (fence % 2 == 0)
				spool.remove(name);
		}
		return true;
	};
	std::vector<pid_t> children;
	for (const std::int64_t first : {1, 101, 201, 301}) {
		children.push_back(fork());
		if (children.back() == 0)
			_exit(work(first) ? 0 : 1);
	}
	for (const pid_t child : children) {
		int status = -1;
		waitpid(child, &status, 0);
		EXPECT_EQ(status, 0);
	}
	EXPECT_EQ(place.spool().list().answers.size(), 100U);
	EXPECT_EQ(place.names().size(), 100U);
}
