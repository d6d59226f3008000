#include "common/printable.hpp"

#include <string>

#include <gtest/gtest.h>

TEST(Printable, IsWhatEachByteIs)
{
	EXPECT_TRUE(common::is_all_printable(""));
	for (int byte = 0; byte < 256; byte++)
		for (std::size_t size = 1; size < 20; size++)
			for (std::size_t at = 0; at < size; at++) {
				std::string text(size, '~');
				text[at] = static_cast<char>(byte);
				EXPECT_EQ(common::is_all_printable(text), byte >= 0x20 && byte < 0x7f)
					<< byte << ' ' << at;
			}
}
