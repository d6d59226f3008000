#include "address/redis_address.hpp"

#include <gtest/gtest.h>

namespace sidecar::redis
{

namespace
{

// All of an endpoint in one line.
std::string text_of(const address::ParsedRedisAddress &parsed)
{
	if (const auto *fault = std::get_if<std::string_view>(&parsed))
		return "fault: " + std::string(*fault);
	const auto &endpoint = std::get<address::RedisAddress>(parsed);
	std::string text = endpoint.tls ? "tls" : "";
	for (const address::HostPort &host : endpoint.hosts)
		text += " " + host.host + "|" + std::to_string(host.port);
	if (!endpoint.unix_path.empty())
		text += " path=" + endpoint.unix_path;
	if (!endpoint.user.empty())
		text += " user=" + endpoint.user;
	if (!endpoint.password.empty())
		text += " password=" + std::string(endpoint.password.reveal());
	if (endpoint.database != 0)
		text += " database=" + std::to_string(endpoint.database);
	if (!endpoint.sentinel_master.empty())
		text += " master=" + endpoint.sentinel_master;
	return text;
}

std::string shown(std::string_view url)
{
	return text_of(address::parse_redis_address(url));
}

} // namespace

TEST(RedisEndpoint, TakesUrlsApart)
{
	const std::pair<std::string_view, std::string_view> urls[] = {
		{"redis://localhost", " localhost|6379"},
		{"REDIS://Cache.example:6380/", " Cache.example|6380"},
		{"rediss://10.0.0.1:1/3", "tls 10.0.0.1|1 database=3"},
		{"redis://[::1]", " ::1|6379"},
		{"redis://[2001:db8::1]:7000/15", " 2001:db8::1|7000 database=15"},
		{"redis://:secret@h", " h|6379 password=secret"},
		{"redis://me:secret@h", " h|6379 user=me password=secret"},
		{"redis://me@h", " h|6379 user=me"},
		{"redis://me:@h", " h|6379 user=me"},
		{"redis://:@h", " h|6379"},
		{"redis://m%65:p%40%3A%2F%25%20+@h/2", " h|6379 user=me password=p@:/% + database=2"},
		{"redis://h?db=4", " h|6379 database=4"},
		{"redis://h/?db=4", " h|6379 database=4"},
		{"redis://h/0", " h|6379"},
		{"redis://a?master=mine", " a|26379 master=mine"},
		{"redis://u:p@a,b:1,[::2]:3/5?master=my%20own",
		 " a|26379 b|1 ::2|3 user=u password=p database=5 master=my own"},
		{"rediss://a,b/?master=m&db=1", "tls a|26379 b|26379 database=1 master=m"},
		{"unix:///run/redis.sock", " path=/run/redis.sock"},
		{"unix://u:p@/run/r%20s.sock?db=7", " path=/run/r s.sock user=u password=p database=7"},
	};
	for (const auto &[url, expected] : urls)
		EXPECT_EQ(shown(url), expected) << url;
}

TEST(RedisEndpoint, SaysWhatIsWrongAndNotWhere)
{
	const std::pair<std::string_view, std::string_view> urls[] = {
		{"", "must begin with"},
		{"SeCrEt", "must begin with"},
		{"http://SeCrEt", "must begin with"},
		{"redis:/SeCrEt", "must begin with"},
		{"redis://", "must name a host"},
		{"redis:///1", "must name a host"},
		{"redis://:SeCrEt@", "must name a host"},
		{"redis://:SeCrEt", "must name a host"},
		{"redis://a,,b?master=m", "must name a host"},
		{"redis://ho$t", "must name a host"},
		{"redis://::1", "must name a host"},
		{"redis://[::1", "a bad IPv6 address"},
		{"redis://[SeCrEt]", "a bad IPv6 address"},
		{"redis://[]", "a bad IPv6 address"},
		{"redis://[::1]x", "as its port"},
		{"redis://h:", "as its port"},
		{"redis://h:0", "as its port"},
		{"redis://h:65536", "as its port"},
		{"redis://h:-1", "as its port"},
		{"redis://h:+1", "as its port"},
		{"redis://h:SeCrEt", "as its port"},
		{"redis://h/SeCrEt", "a database's number"},
		{"redis://h/-0", "a database's number"},
		{"redis://h/1/2", "a database's number"},
		{"redis://h/1000000", "a database's number"},
		{"redis://h/99999999999", "a database's number"},
		{"redis://h?db=", "a database's number"},
		{"redis://h/1?db=2", "the database twice"},
		{"redis://h?db=1&db=1", "each once"},
		{"redis://h?master=a&master=b", "each once"},
		{"redis://h?master=", "each once"},
		{"redis://h?SeCrEt=1", "each once"},
		{"redis://a,b", "several hosts"},
		{"redis://me:Se@CrEt@h", "percent-encoded"},
		{"redis://me:Se/CrEt@h", "percent-encoded"},
		{"redis://me:Se?CrEt@h", "percent-encoded"},
		{"redis://me:Se#CrEt@h", "percent-encoded"},
		{"redis://me:Se:CrEt@h", "percent-encoded"},
		{"redis://h#SeCrEt", "percent-encoded"},
		{"redis://:Se%CrEt@h", "two hexadecimal digits"},
		{"redis://:SeCrEt%2@h", "two hexadecimal digits"},
		{"redis://:SeCrEt%00@h", "a NUL"},
		{"redis://:Se CrEt@h", "spaces"},
		{"redis://:SeCrEt@h\n", "spaces"},
		{"redis://:SeCrEt\x01@h", "control characters"},
		{"redis://:SeCrEt\xc3\xa9@h", "control characters"},
		{"unix://", "the absolute path"},
		{"unix:///", "the absolute path"},
		{"unix://SeCrEt", "the absolute path"},
		{"unix://SeCrEt/run/redis.sock", "the absolute path"},
		{"unix:///run/s?master=m", "cannot name a master"},
	};
	for (const auto &[url, expected] : urls) {
		const std::string fault = shown(url);
		EXPECT_EQ(fault.substr(0, 6), "fault:") << url;
		EXPECT_NE(fault.find(expected), std::string::npos) << url << ": " << fault;
		for (const char *part : {"SeCrEt", "CrEt", "Se@", "ho$t"})
			EXPECT_EQ(fault.find(part), std::string::npos) << url << ": " << fault;
	}
	EXPECT_NE(shown("unix:///" + std::string(107, 'x')).find("107 bytes"), std::string::npos);
	EXPECT_EQ(shown("unix:///" + std::string(106, 'x')), " path=/" + std::string(106, 'x'));
}

TEST(RedisEndpoint, ClonesAll)
{
	const auto parsed = address::parse_redis_address("rediss://u:p@a,b:1/5?master=m");
	EXPECT_EQ(text_of(address::ParsedRedisAddress(std::get<address::RedisAddress>(parsed).clone())),
			  text_of(parsed));
}

} // namespace sidecar::redis
