#include "common/json_text.hpp"

#include <gtest/gtest.h>

#include <string>

using common::plain_ascii_in_json;

// At every place of a text, so in words of eight and behind them.
TEST(JsonText, EndsAtTheFirstByteThatIsNotPlain)
{
	for (int c = 0; c < 256; c++) {
		const bool is_plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
		for (std::size_t size = 1; size < 20; size++)
			for (std::size_t at = 0; at < size; at++) {
				std::string text(size, 'x');
				text[at] = static_cast<char>(c);
				EXPECT_EQ(plain_ascii_in_json(text), is_plain ? size : at) << c;
				text += "\x01\""; // what follows does not matter
				EXPECT_EQ(plain_ascii_in_json(text), is_plain ? size : at) << c;
			}
	}
	EXPECT_EQ(plain_ascii_in_json(""), 0u);
}
