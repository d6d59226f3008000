// F6: whatever return_to is, the browser ends on an origin that is allowed.
#include "common/return_address.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

using common::is_origin_pattern;
using common::is_public_url;
using common::origin_of;
using common::return_to_allowed;

namespace
{

constexpr std::string_view kOrigins[] = {"https://app.example.com",
										 "https://*.tenants.example.com",
										 "https://ports.example.com:8443",
										 "https://default.example.com:443",
										 "http://localhost:3000",
										 "http://127.0.0.1",
										 "http://[::1]:5173"};

bool allowed(std::string_view return_to)
{
	return return_to_allowed(return_to, kOrigins);
}

const std::vector<std::string> kTails = {"",
										 "/",
										 "/done",
										 "/done?a=b&c=d",
										 "?a=b",
										 "#top",
										 "/a/b/../c",
										 "/a//b",
										 "/%20x",
										 "/@x",
										 "/a:b",
										 "/https://evil.example",
										 "?next=//evil.example",
										 "/~me/(x);y=1,2'!$&*+=",
										 "/%2f%2fevil.example"};

} // namespace

TEST(ReturnTo, IsAPath)
{
	for (const char *path : {"/", "/done", "/done?x=1#y", "/a//b", "/a/../b", "/.", "/..", "/a%2fb",
							 "/@evil.example", "/:80", "/a\x7e", "/.//evil.example", "/?//evil",
							 "/#//evil", "/https://evil.example", "/%41", "/%252fevil.example"})
		EXPECT_TRUE(allowed(path)) << path;
	EXPECT_TRUE(return_to_allowed("/done", {}));
}

TEST(ReturnTo, IsOnAnAllowedOrigin)
{
	for (const std::string origin :
		 {"https://app.example.com", "https://APP.Example.com", "https://app.example.com:443",
		  "https://a.tenants.example.com", "https://a-b.TENANTS.example.com:443",
		  "https://xn--bcher-kva.tenants.example.com", "https://ports.example.com:8443",
		  "https://default.example.com", "https://default.example.com:443", "http://localhost:3000",
		  "http://LOCALHOST:3000", "http://127.0.0.1", "http://127.0.0.1:80", "http://[::1]:5173"})
		for (const std::string &tail : kTails)
			EXPECT_TRUE(allowed(origin + tail)) << origin + tail;
}

TEST(ReturnTo, IsOnNoOtherOrigin)
{
	for (const std::string origin : {"https://evil.example",
									 "https://example.com",
									 "https://app.example.com.evil.example",
									 "https://app.example.com.",
									 "https://xapp.example.com",
									 "https://x.app.example.com",
									 "https://tenants.example.com",
									 "https://a.b.tenants.example.com",
									 "https://.tenants.example.com",
									 "https://*.tenants.example.com",
									 "https://-a.tenants.example.com",
									 "https://a_b.tenants.example.com",
									 "https://eviltenants.example.com",
									 "https://app.example.com:8443",
									 "https://app.example.com:80",
									 "https://app.example.com:0",
									 "https://app.example.com:",
									 "https://app.example.com:0443",
									 "https://app.example.com:65979",
									 "https://app.example.com:443443443443",
									 "https://app.example.com:+443",
									 "https://app.example.com:443:443",
									 "https://ports.example.com",
									 "https://ports.example.com:443",
									 "http://app.example.com",
									 "http://app.example.com:443",
									 "http://ports.example.com:8443",
									 "https://localhost:3000",
									 "http://localhost",
									 "http://localhost:3001",
									 "http://localhost.evil.example:3000",
									 "http://127.0.0.2",
									 "http://127.1",
									 "http://127.0.0.01",
									 "http://0x7f.0.0.1",
									 "http://2130706433",
									 "http://127.0.0.1.",
									 "http://[::1]",
									 "http://[::1%25lo]:5173",
									 "http://[::0:1]:5173",
									 "http://[0:0:0:0:0:0:0:1]:5173",
									 "http://::1:5173",
									 "http://[::1]x:5173",
									 "https://[::1]:5173",
									 "HTTPS://app.example.com",
									 "Https://app.example.com",
									 "https:/app.example.com",
									 "https:app.example.com",
									 "https:///app.example.com",
									 "https://",
									 "https:",
									 "http://",
									 "://app.example.com",
									 "app.example.com",
									 "ftp://app.example.com",
									 "wss://app.example.com",
									 "javascript:alert(1)//",
									 "data:text/html,x",
									 "blob:https://app.example.com",
									 "file:///etc/passwd",
									 "view-source:https://app.example.com",
									 "x-app://app.example.com",
									 "about:blank"})
		for (const std::string &tail : kTails)
			EXPECT_FALSE(allowed(origin + tail)) << origin + tail;
}

// Userinfo, and all that looks like it.
TEST(ReturnTo, HasNoUser)
{
	for (const std::string user :
		 {"app.example.com", "a", "a:b", "", ":", "a%40b", "app.example.com:443"})
		for (const std::string host : {"evil.example", "app.example.com", "localhost:3000"})
			for (const std::string scheme : {"https://", "http://"})
				EXPECT_FALSE(allowed(scheme + user + "@" + host + "/")) << user << host;
	EXPECT_TRUE(allowed("https://app.example.com/@evil.example"));
	EXPECT_TRUE(allowed("https://app.example.com?@evil.example"));
	EXPECT_TRUE(allowed("https://app.example.com#@evil.example"));
}

// Two beginnings of a network path, in every form that someone may decode.
TEST(ReturnTo, IsNoNetworkPath)
{
	const std::vector<std::string> slashes = {"/", "\\", "%2f", "%2F", "%5c", "%5C"};
	for (const std::string &first : slashes)
		for (const std::string &second : slashes)
			for (const std::string more : {"", "/", "\\", "//", "@", "."})
				for (const std::string host : {"evil.example", "app.example.com", ""})
					EXPECT_FALSE(allowed(first + second + more + host))
						<< first + second + more + host;
	for (const std::string space :
		 {" ", "\t", "\n", "\r", "\v", "\f", "\b", "\x1f", "\x7f", "\xc2\xa0"})
		for (const std::string rest :
			 {"/evil.example", "//evil.example", "https://app.example.com/"})
			for (const std::string slash : {"", "/"}) {
				EXPECT_FALSE(allowed(space + slash + rest)) << rest;
				EXPECT_FALSE(allowed(slash + space + rest)) << rest;
			}
}

// Characters that browsers drop, map to dots or slashes, or that break a header.
TEST(ReturnTo, HoldsVisibleAsciiOnly)
{
	for (int byte = 0; byte < 256; byte++) {
		const char c = static_cast<char>(byte);
		const bool good =
			c > ' ' && c <= '~' && std::string("\\\"<>^`{|}%").find(c) == std::string::npos;
		EXPECT_EQ(allowed(std::string("/a") + c), good) << byte;
		EXPECT_EQ(allowed(std::string("https://app.example.com/") + c), good) << byte;
		// Inside of the host none is good, nor at its end but what ends it.
		EXPECT_FALSE(allowed(std::string("https://app.ex") + c + "ample.com/")) << byte;
		EXPECT_EQ(allowed(std::string("https://app.example.com") + c),
				  c == '/' || c == '?' || c == '#')
			<< byte;
	}
	for (const std::string dot :
		 {"\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xbd\xa1", "%2e", "%E3%80%82"})
		EXPECT_FALSE(allowed("https://app" + dot + "example.com/")) << dot;
	for (const std::string slash : {"\xef\xbc\x8f", "\xe2\x81\x84", "\xe2\x88\x95"})
		EXPECT_FALSE(allowed("/" + slash + "evil.example")) << slash;
	EXPECT_FALSE(allowed("https://\xef\xbd\x81pp.example.com/"));
	EXPECT_FALSE(allowed("/done\r\nSet-Cookie: a=b"));
	EXPECT_FALSE(allowed(std::string_view("/\0", 2)));
	EXPECT_FALSE(allowed(std::string_view("https://app.example.com\0.evil.example/", 38)));
}

TEST(ReturnTo, HasWholeEscapes)
{
	for (const char *bad : {"/%", "/%4", "/%g1", "/%1g", "/a%", "/%%41", "/%u0041", "/%-1"})
		EXPECT_FALSE(allowed(bad)) << bad;
	for (const char *good : {"/%00", "/%0d%0a", "/%ff", "/%Aa", "/x%25"})
		EXPECT_TRUE(allowed(good)) << good;
}

TEST(ReturnTo, IsNeitherEmptyNorLong)
{
	EXPECT_FALSE(allowed(""));
	EXPECT_TRUE(allowed("/" + std::string(2047, 'a')));
	EXPECT_FALSE(allowed("/" + std::string(2048, 'a')));
	EXPECT_FALSE(allowed("https://" + std::string(64, 'a') + ".tenants.example.com/"));
	EXPECT_TRUE(allowed("https://" + std::string(63, 'a') + ".tenants.example.com/"));
}

// A broken entry of the list allows nothing.
TEST(ReturnTo, WantsPatternsThatAreOrigins)
{
	for (const std::string_view pattern :
		 {"", "*", "https://*", "https://", "app.example.com", "https://app.example.com/",
		  "HTTPS://app.example.com", "https://APP.example.com", "http://app.example.com"}) {
		EXPECT_FALSE(is_origin_pattern(pattern)) << pattern;
		EXPECT_FALSE(return_to_allowed("https://app.example.com", {{pattern}})) << pattern;
	}
}

TEST(OriginPattern, HasAtMostOneLeadingStar)
{
	for (const std::string_view good : kOrigins)
		EXPECT_TRUE(is_origin_pattern(good)) << good;
	for (const char *good :
		 {"https://a", "https://*.a.b", "https://*.a.b:1", "https://192.0.2.1",
		  "https://[2001:db8::1]:443", "http://127.255.255.254:65535", "https://*.co.uk"})
		EXPECT_TRUE(is_origin_pattern(good)) << good;
	for (const char *bad : {"https://*.com",
							"https://*.localhost",
							"http://*.localhost",
							"https://*",
							"https://*.",
							"https://**.a.b",
							"https://*.*.a.b",
							"https://a.*.b",
							"https://*a.b.c",
							"https://a*.b.c",
							"https://*.192.0.2.1",
							"https://*.2.1",
							"https://a.b/",
							"https://a.b?",
							"https://a.b#",
							"https://a.b:*",
							"https://u@a.b",
							"https://A.b",
							"https://a.b:0",
							"https://a.b:65536",
							"https://a..b",
							"https://a.b.",
							"https://a b",
							"https://1.2.3",
							"https://1.2.3.256",
							"https://[::1",
							"https://[]",
							"https://[::g]",
							"http://128.0.0.1",
							"http://127.0.0.1.a.b",
							"ws://localhost",
							"https://a.b\n",
							"null",
							"*"})
		EXPECT_FALSE(is_origin_pattern(bad)) << bad;
	EXPECT_FALSE(is_origin_pattern(std::string("https://") + std::string(300, 'a')));
}

TEST(PublicUrl, IsHttpsOrOnLoopback)
{
	for (const char *good :
		 {"https://oauth.example.com", "https://oauth.example.com/", "https://example.com/oauth/v1",
		  "https://example.com/oauth/v1/", "https://example.com:8443/~a_b-c.d",
		  "http://localhost:8090", "http://127.0.0.1", "http://[::1]:1/x", "https://Example.com",
		  "https://192.0.2.1"})
		EXPECT_TRUE(is_public_url(good)) << good;
	for (const char *bad : {"",
							"/",
							"https://",
							"http://example.com",
							"http://localhost.example.com",
							"https://*.example.com",
							"https://example.com?x",
							"https://example.com/?",
							"https://example.com#",
							"https://u@example.com",
							"https://u:p@example.com",
							"https://example.com//",
							"https://example.com//a",
							"https://example.com/a//b",
							"https://example.com/../a",
							"https://example.com/.",
							"https://example.com/a/..",
							"https://example.com/%2e",
							"https://example.com/a b",
							"https://example.com/\xc3\xa4",
							"https://example.com\\a",
							"https://example.com:",
							"https://example.com:x",
							"HTTPS://example.com",
							"ftp://example.com",
							"https:example.com",
							" https://example.com",
							"https://example.com ",
							"https://example.com\n"})
		EXPECT_FALSE(is_public_url(bad)) << bad;
	EXPECT_FALSE(is_public_url("https://example.com/" + std::string(2048, 'a')));
	EXPECT_FALSE(is_public_url(std::string_view("https://[::1\0.example]", 22)));
}

TEST(PublicUrl, HasAnOrigin)
{
	EXPECT_EQ(origin_of("https://example.com"), "https://example.com");
	EXPECT_EQ(origin_of("https://example.com:8443/a/b"), "https://example.com:8443");
	EXPECT_EQ(origin_of("http://[::1]:1/"), "http://[::1]:1");
	EXPECT_EQ(origin_of("nonsense"), "");
}
