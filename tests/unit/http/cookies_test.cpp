#include "http/cookies.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "../oauth/samples.hpp"
#include "common/digest.hpp"

using namespace sidecar;
using http::FlowCookies;
using samples::cookie;
using samples::kBrowserSecret;
using samples::kState;

namespace
{

constexpr std::string_view kPlain = "oauth-";
const std::string kOther(43, 'x');

// The state and the secret of the attempt number `i`.
std::string state_of(int i)
{
	return common::base64url(std::string(31, 's') + static_cast<char>(i));
}

std::string many_cookies(int count)
{
	std::string header;
	// Neither the oldest nor the newest stands first.
	for (int i = 0; i < count; i++) {
		const int number = (i * 7 + 3) % count;
		header +=
			(header.empty() ? "" : "; ") + cookie(state_of(number), kBrowserSecret, 1000 + number);
	}
	return header;
}

bool finds(std::string_view header, bool plain_too, std::string_view secret = kBrowserSecret)
{
	const auto found = FlowCookies::parse(header, plain_too).secret_of(kState);
	return found && found->equals(secret);
}

bool clears(const std::vector<std::string> &headers, std::string_view state)
{
	const std::string start = "__Host-oauth-" + http::cookie_tag(state) + "=; ";
	return std::ranges::any_of(headers, [&](const auto &one) { return one.starts_with(start); });
}

} // namespace

TEST(FlowCookies, SetHttps)
{
	const auto headers = FlowCookies::parse("", false).set(kState, common::Secret(kBrowserSecret),
														   300, 1234567890123);
	ASSERT_EQ(headers.size(), 1u);
	EXPECT_EQ(headers[0], cookie(kState, kBrowserSecret, 1234567890123) +
							  "; Path=/; Max-Age=300; HttpOnly; Secure; SameSite=Lax");
}

TEST(FlowCookies, SetHttp)
{
	const auto headers =
		FlowCookies::parse("", true).set(kState, common::Secret(kBrowserSecret), 9999, 5);
	ASSERT_EQ(headers.size(), 2u);
	EXPECT_EQ(headers[0], cookie(kState, kBrowserSecret, 5) +
							  "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax");
	EXPECT_EQ(headers[1], cookie(kState, kBrowserSecret, 5, kPlain) +
							  "; Path=/; Max-Age=600; HttpOnly; SameSite=Lax");
}

TEST(FlowCookies, Finds)
{
	const std::string good = cookie(kState);
	EXPECT_TRUE(finds(good, false));
	EXPECT_TRUE(finds("a=b; " + good + " ;c=d", false));
	EXPECT_TRUE(finds(good + "; " + good, false));
	EXPECT_FALSE(finds("", false));
	EXPECT_FALSE(finds(cookie(state_of(1)), false));
}

// F12, and whatever a browser may have been made to send.
TEST(FlowCookies, Tampered)
{
	const std::string good = cookie(kState);
	const std::string tag = http::cookie_tag(kState);
	std::string upper = tag;
	std::ranges::transform(upper, upper.begin(), [](char c) { return std::toupper(c); });
	const std::string headers[] = {
		samples::replaced(good, "=", ""),
		samples::replaced(good, "1000.", "."),
		samples::replaced(good, "1000.", ""),
		samples::replaced(good, "1000.", "-1."),
		samples::replaced(good, "1000.", "1e3."),
		samples::replaced(good, "1000.", "1000000000000000."),
		samples::replaced(good, "1000.", "1000.."),
		samples::replaced(good, "__Host-", "__host-"),
		samples::replaced(good, "__Host-", "__Secure-"),
		samples::replaced(good, "__Host-", ""),
		samples::replaced(good, kBrowserSecret, ""),
		samples::replaced(good, kBrowserSecret, kBrowserSecret.substr(1)),
		samples::replaced(good, "_secret_", "_secret+"),
		samples::replaced(good, "=1000", "=\"1000"),
		good + "A",
		good + "=",
		good.substr(0, good.size() - 1),
		samples::replaced(good, tag, tag.substr(1)),
		samples::replaced(good, tag, tag + "0"),
		samples::replaced(good, tag, upper == tag ? "ZZZZZZZZ" : upper),
		"x" + good,
		"a=\"" + good + "\"",
		good + ", b=c",
		good + "; " + cookie(kState, kOther),
		good + "; " + good + "; " + cookie(kState, kOther),
		good + "; " + cookie(kState, kBrowserSecret, 1001),
	};
	for (const std::string &header : headers)
		EXPECT_FALSE(finds(header, false)) << header;
}

// The plain name is for http alone, and yields to the other.
TEST(FlowCookies, PlainCopy)
{
	const std::string plain = cookie(kState, kBrowserSecret, 1000, kPlain);
	EXPECT_FALSE(finds(plain, false));
	EXPECT_TRUE(finds(plain, true));
	EXPECT_TRUE(finds(cookie(kState) + "; " + plain, true));
	const std::string planted = cookie(kState, kOther, 9999, kPlain);
	EXPECT_TRUE(finds(planted + "; " + cookie(kState), true));
	EXPECT_TRUE(finds(cookie(kState) + "; " + planted, true));
	EXPECT_FALSE(finds(plain + "; " + planted, true));
	EXPECT_TRUE(finds(plain + "; " + planted + "; " + cookie(kState), true));

	// Both copies are one attempt: eight attempts are sixteen cookies.
	std::string header;
	for (int i = 0; i < 8; i++)
		header += cookie(state_of(i), kBrowserSecret, i) + "; " +
				  cookie(state_of(i), kBrowserSecret, i, kPlain) + "; ";
	const auto cookies = FlowCookies::parse(header, true);
	for (int i = 0; i < 8; i++)
		EXPECT_TRUE(cookies.secret_of(state_of(i))) << i;
	const auto cleared = cookies.clear(state_of(3));
	ASSERT_EQ(cleared.size(), 2u);
	EXPECT_EQ(cleared[0], "__Host-oauth-" + http::cookie_tag(state_of(3)) +
							  "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax");
	EXPECT_EQ(cleared[1], "oauth-" + http::cookie_tag(state_of(3)) +
							  "=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
}

// F11: thirty tabs at once.
TEST(FlowCookies, Thirty)
{
	const auto cookies = FlowCookies::parse(many_cookies(30), false);
	for (int i = 0; i < 30; i++)
		EXPECT_EQ(cookies.secret_of(state_of(i)).has_value(), i >= 22) << i;
	// None of the newest eight moves up when one goes.
	const auto cleared = cookies.clear(state_of(25));
	EXPECT_EQ(cleared.size(), 23u);
	for (int i = 0; i < 30; i++)
		EXPECT_EQ(clears(cleared, state_of(i)), i < 22 || i == 25) << i;
	EXPECT_EQ(cookies.clear(kState).size(), 22u);
	EXPECT_EQ(cookies.clear(state_of(5)).size(), 22u);
}

TEST(FlowCookies, TheNinthEndsTheOldest)
{
	const auto eight = FlowCookies::parse(many_cookies(8), false);
	const auto headers = eight.set(kState, common::Secret(kBrowserSecret), 600, 5000);
	ASSERT_EQ(headers.size(), 2u);
	EXPECT_TRUE(clears(headers, state_of(0)));
	EXPECT_EQ(FlowCookies::parse(many_cookies(7), false)
				  .set(kState, common::Secret(kBrowserSecret), 600, 5000)
				  .size(),
			  1u);
	EXPECT_EQ(eight.set(state_of(4), common::Secret(kBrowserSecret), 600, 5000).size(), 1u);
}

TEST(FlowCookies, EqualTimesGoByTag)
{
	std::vector<std::string> tags;
	std::string header;
	for (int i = 0; i < 9; i++) {
		header += cookie(state_of(i)) + ";";
		tags.push_back(http::cookie_tag(state_of(i)));
	}
	const auto cookies = FlowCookies::parse(header, false);
	const std::string last = *std::ranges::max_element(tags);
	for (int i = 0; i < 9; i++)
		EXPECT_EQ(cookies.secret_of(state_of(i)).has_value(), tags[i] != last);
}

TEST(FlowCookies, ThoseThatDisagreeAreCleared)
{
	const auto cookies = FlowCookies::parse(cookie(kState) + ";" + cookie(kState, kOther), false);
	EXPECT_TRUE(clears(cookies.clear(state_of(1)), kState));
	EXPECT_TRUE(clears(cookies.set(state_of(1), common::Secret(kOther), 600, 1), kState));
}
