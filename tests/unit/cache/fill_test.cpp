#include "cache/fill.hpp"

#include <gtest/gtest.h>

namespace sidecar::cache
{

namespace
{

const std::string kEpoch = "0123456789abcdef0123456789abcdef";

} // namespace

TEST(CacheFill, IsReadAsWritten)
{
	const Fill fill{kEpoch, 1'700'000'000'000'000, 1'700'000'300'000'000};
	EXPECT_EQ(fill.text(), kEpoch + " 1700000000000000 1700000300000000");
	const auto read = Fill::parse(fill.text());
	ASSERT_TRUE(read);
	EXPECT_EQ(read->epoch_id, kEpoch);
	EXPECT_EQ(read->read_at, fill.read_at);
	EXPECT_EQ(read->until, fill.until);
}

TEST(CacheFill, IsNothingElse)
{
	for (const std::string &text :
		 {std::string(), kEpoch, kEpoch + " 1", kEpoch + " 1 ", kEpoch + "  1", kEpoch + " 1 2 3",
		  kEpoch + " 01 2", kEpoch + " 1 +2", kEpoch + " 1 2x", std::string(" 1 2"),
		  "0" + kEpoch + " 1 2", kEpoch + " 1 99999999999999999999", std::string(32, 'x') + " 1 2"})
		EXPECT_FALSE(Fill::parse(text)) << text;
}

} // namespace sidecar::cache
