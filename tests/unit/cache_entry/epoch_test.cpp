#include "cache_entry/epoch.hpp"

#include <set>

#include <gtest/gtest.h>

using namespace sidecar::cache_entry;

namespace
{

constexpr const char *kText =
	"00112233445566778899aabbccddeeff ready 0b4a3a9e-8c55-4a7e-9d0e-7f0e6a1b2c3d "
	"6c9f1e0d2b3a49588776655443322110ffeeddcc 7412345678901234567/16384/3/1795339957123456";

Epoch epoch()
{
	return {"00112233445566778899aabbccddeeff",
			Epoch::State::ready,
			"0b4a3a9e-8c55-4a7e-9d0e-7f0e6a1b2c3d",
			"6c9f1e0d2b3a49588776655443322110ffeeddcc",
			{"7412345678901234567", 16384, 3, 1795339957123456}};
}

std::string replaced(std::string text, std::string_view part, std::string_view other)
{
	return text.replace(text.find(part), part.size(), other);
}

} // namespace

TEST(Epoch, Text)
{
	Epoch made = epoch();
	EXPECT_EQ(made.text(), kText);
	EXPECT_EQ(Epoch::parse(kText), made);
	made.state = Epoch::State::evicting;
	EXPECT_EQ(made.text(), replaced(kText, "ready", "evicting"));
	EXPECT_EQ(Epoch::parse(made.text()), made);
	made.database = {"1", 4294967295, 4294967295, -1};
	EXPECT_EQ(Epoch::parse(made.text()), made);
}

TEST(Epoch, TextsThatAreNone)
{
	const std::string text = kText;
	const std::string bad[] = {
		"",
		"ready",
		text + " ",
		text + "\n",
		" " + text,
		text + "x",
		text.substr(0, text.rfind('/')),
		text.substr(0, text.rfind(' ')),
		text + "/1",
		replaced(text, "00112233", "0011223"),
		replaced(text, "00112233", "0011223G"),
		replaced(text, "ddeeff ", "DDEEFF "),
		replaced(text, "ready", "Ready"),
		replaced(text, "ready", ""),
		replaced(text, " ready", ""),
		replaced(text, " ready", "  ready"),
		replaced(text, "0b4a3a9e", "0B4A3A9E"),
		replaced(text, "0b4a3a9e-", "0b4a3a9e0"),
		replaced(text, "6c9f1e0d2b3a49588776655443322110ffeeddcc", ""),
		replaced(text, "6c9f", std::string(65, 'a')),
		replaced(text, "6c9f", "6c/f"),
		replaced(text, "7412345678901234567", ""),
		replaced(text, "7412345678901234567", "x"),
		replaced(text, "16384", "016384"),
		replaced(text, "16384", "4294967296"),
		replaced(text, "16384", "-1"),
		replaced(text, "16384", "+1"),
		replaced(text, "/3/", "//"),
		replaced(text, "/3/", "/ 3/"),
		replaced(text, "1795339957123456", "99999999999999999999"),
		replaced(text, "1795339957123456", "1e3"),
		std::string(100'000, ' '),
		std::string(text.size(), '\0'),
	};
	for (const std::string &given : bad)
		EXPECT_EQ(Epoch::parse(given), std::nullopt) << given;
}

TEST(Epoch, NewIds)
{
	std::set<std::string> seen;
	for (int i = 0; i < 1000; i++) {
		const std::string id = new_epoch_id();
		EXPECT_TRUE(is_epoch_id(id)) << id;
		EXPECT_TRUE(seen.insert(id).second);
	}
	EXPECT_FALSE(is_epoch_id(""));
	EXPECT_FALSE(is_epoch_id(std::string(31, 'a')));
	EXPECT_FALSE(is_epoch_id(std::string(33, 'a')));
	EXPECT_FALSE(is_epoch_id(std::string(32, 'g')));
}

TEST(Epoch, Judge)
{
	const Epoch found = epoch();
	const auto classify_as = [&](auto change) {
		Epoch own = found;
		change(own);
		return classify(found, own.database, own.registration_id, own.run_id);
	};
	EXPECT_EQ(classify_as([](Epoch &) {}), EpochStatus::ours);
	// While it is being dropped, it is ours all the same.
	Epoch evicting = found;
	evicting.state = Epoch::State::evicting;
	EXPECT_EQ(classify(evicting, found.database, found.registration_id, found.run_id),
			  EpochStatus::ours);

	EXPECT_EQ(classify_as([](Epoch &own) { own.registration_id[0] = '1'; }),
			  EpochStatus::take_over);
	EXPECT_EQ(classify_as([](Epoch &own) { own.run_id[0] = '1'; }), EpochStatus::take_over);
	EXPECT_EQ(classify_as([](Epoch &own) { own.database.started_at++; }), EpochStatus::take_over);
	EXPECT_EQ(classify_as([](Epoch &own) { own.database.timeline++; }), EpochStatus::take_over);
	EXPECT_EQ(classify_as([](Epoch &own) {
				  own.database.timeline++;
				  own.database.started_at -= 1'000'000;
			  }),
			  EpochStatus::take_over);

	// Even with the registration id of a copy.
	EXPECT_EQ(classify_as([](Epoch &own) { own.database.started_at--; }), EpochStatus::deposed);
	EXPECT_EQ(classify_as([](Epoch &own) { own.database.timeline--; }), EpochStatus::deposed);
	EXPECT_EQ(classify_as([](Epoch &own) {
				  own.database.timeline--;
				  own.database.started_at += 1'000'000;
			  }),
			  EpochStatus::deposed);
	EXPECT_EQ(classify_as([](Epoch &own) {
				  own.database.timeline--;
				  own.run_id[0] = '1';
			  }),
			  EpochStatus::deposed);

	EXPECT_EQ(classify_as([](Epoch &own) { own.database.system_identifier = "1"; }),
			  EpochStatus::foreign);
	EXPECT_EQ(classify_as([](Epoch &own) { own.database.database++; }), EpochStatus::foreign);
	EXPECT_EQ(classify_as([](Epoch &own) {
				  own.database.database++;
				  own.database.timeline++;
			  }),
			  EpochStatus::foreign);
}
