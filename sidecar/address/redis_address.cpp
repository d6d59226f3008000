#include "address/redis_address.hpp"

#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/ascii.hpp"
#include "http/parameters.hpp"

namespace sidecar::address
{

namespace
{

constexpr unsigned short kRedisPort = 6379;
constexpr unsigned short kSentinelPort = 26379;
constexpr int kLastPort = 65535;
constexpr int kLastDatabase = 999'999;

constexpr std::string_view kSchemes = "must begin with redis://, rediss:// or unix://";
constexpr std::string_view kEncode =
	"must have the characters @ / : ? # and % percent-encoded in user and password";
constexpr std::string_view kDatabase = "must have a database's number after the host: /0, /1 …";

// A text up to a separator; the rest, from the separator on, stays.
std::string_view cut(std::string_view &text, std::string_view separators)
{
	const std::size_t end = std::min(text.find_first_of(separators), text.size());
	const std::string_view first = text.substr(0, end);
	text.remove_prefix(end);
	return first;
}

bool is_host_name(std::string_view host) noexcept
{
	return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
		return common::is_digit(c) || common::is_letter(c) || c == '-' || c == '.' || c == '_';
	});
}

bool is_ipv6(std::string_view host) noexcept
{
	return host.find(':') != host.npos && std::all_of(host.begin(), host.end(), [](char c) {
			   return common::is_lower_hex(common::to_lower(c)) || c == ':' || c == '.';
		   });
}

// Only digits, without a sign.
std::optional<int> parse_number(std::string_view text, int low, int high) noexcept
{
	int number = 0;
	const char *const end = text.data() + text.size();
	const auto [stop, error] = std::from_chars(text.data(), end, number);
	if (error != std::errc() || stop != end || text.front() == '-' || number < low || number > high)
		return std::nullopt;
	return number;
}

class Parser
{
public:
	explicit Parser(std::string_view url) : rest_(url) {}

	ParsedRedisAddress parse()
	{
		read();
		if (!error_.empty())
			return error_;
		return std::move(endpoint_);
	}

private:
	void fail(std::string_view error)
	{
		if (error_.empty())
			error_ = error;
	}

	void read()
	{
		const std::size_t separator = rest_.find("://");
		const std::string_view scheme = rest_.substr(0, separator);
		const bool is_unix = common::equal_ignoring_case(scheme, "unix");
		endpoint_.tls = common::equal_ignoring_case(scheme, "rediss");
		if (separator == rest_.npos ||
			(!is_unix && !endpoint_.tls && !common::equal_ignoring_case(scheme, "redis")))
			return fail(kSchemes);
		rest_.remove_prefix(separator + 3);
		check_characters();
		// A bare one of these ends a part too early, and the rest is read as something else.
		if (std::count(rest_.begin(), rest_.end(), '@') > 1 || rest_.find('#') != rest_.npos)
			fail(kEncode);
		std::string_view authority = cut(rest_, "/?");
		if (rest_.find('@') != rest_.npos)
			fail(kEncode);
		if (const std::size_t at = authority.find('@'); at != authority.npos) {
			read_user(authority.substr(0, at));
			authority.remove_prefix(at + 1);
		}
		std::string_view path = cut(rest_, "?");
		read_query();
		if (is_unix)
			return read_socket(authority, path);
		read_hosts(authority);
		if (path.size() > 1)
			read_database(path.substr(1));
	}

	void check_characters()
	{
		for (const char c : rest_)
			if (common::is_white_space(c))
				fail("must not contain spaces; write %20");
			else if (!common::is_visible(c))
				fail("must not contain control characters, nor others than ASCII; percent-encode "
					 "them");
	}

	std::string decoded(std::string_view text)
	{
		std::optional<std::string> plain = http::percent_decode(text, false);
		if (!plain)
			fail("has a % that is not followed by two hexadecimal digits; write %25 for the "
				 "character itself");
		else if (plain->find('\0') != plain->npos)
			fail("must not contain a NUL character");
		return std::move(plain).value_or("");
	}

	void read_user(std::string_view text)
	{
		endpoint_.user = decoded(cut(text, ":"));
		if (text.empty())
			return;
		text.remove_prefix(1);
		if (text.find(':') != text.npos)
			fail(kEncode);
		std::string password = decoded(text);
		endpoint_.password = common::Secret::take(password);
	}

	void read_query()
	{
		if (rest_.empty())
			return;
		rest_.remove_prefix(1);
		bool has_database = false;
		while (!rest_.empty()) {
			std::string_view value = cut(rest_, "&");
			rest_.remove_prefix(rest_.empty() ? 0 : 1);
			const std::string_view name = cut(value, "=");
			value.remove_prefix(value.empty() ? 0 : 1);
			if (name == "master" && endpoint_.sentinel_master.empty() && !value.empty())
				endpoint_.sentinel_master = decoded(value);
			else if (name == "db" && !has_database)
				has_database = read_database(value);
			else
				fail("takes the parameters master=NAME and db=NUMBER after its ?, each once");
		}
	}

	bool read_database(std::string_view text)
	{
		const auto number = parse_number(text, 0, kLastDatabase);
		if (!number)
			fail(kDatabase);
		else if (endpoint_.database != 0)
			fail("names the database twice");
		else
			endpoint_.database = *number;
		return true;
	}

	void read_hosts(std::string_view list)
	{
		const bool is_sentinel = !endpoint_.sentinel_master.empty();
		while (true) {
			read_host(cut(list, ","), is_sentinel ? kSentinelPort : kRedisPort);
			if (list.empty())
				break;
			list.remove_prefix(1);
		}
		if (endpoint_.hosts.size() > 1 && !is_sentinel)
			fail("names several hosts: sentinels need ?master=NAME");
	}

	void read_host(std::string_view text, unsigned short port)
	{
		HostPort host{std::string(cut(text, text.starts_with('[') ? "]" : ":")), port};
		if (host.host.starts_with('[')) {
			host.host.erase(0, 1);
			if (text.empty() || !is_ipv6(host.host))
				return fail("has a bad IPv6 address: write it like [::1]");
			text.remove_prefix(1);
		} else if (!is_host_name(host.host)) {
			return fail("must name a host: a name or an IP address, with one of IPv6 in brackets");
		}
		if (!text.empty()) {
			const auto number = parse_number(text.substr(1), 1, kLastPort);
			if (text.front() != ':' || !number)
				return fail("must have a number from 1 to 65535 as its port");
			host.port = static_cast<unsigned short>(*number);
		}
		endpoint_.hosts.push_back(std::move(host));
	}

	void read_socket(std::string_view host, std::string_view path)
	{
		endpoint_.unix_path = decoded(path);
		if (!host.empty() || path.size() < 2)
			fail("must have the absolute path of a socket: unix:///run/redis/redis.sock");
		if (endpoint_.unix_path.size() >= sizeof(sockaddr_un::sun_path))
			fail("has a socket's path of more than 107 bytes");
		if (!endpoint_.sentinel_master.empty())
			fail("cannot name a master: sentinels are reached by redis:// or rediss://");
	}

	std::string_view rest_;
	RedisAddress endpoint_;
	std::string_view error_;
};

} // namespace

RedisAddress RedisAddress::clone() const
{
	return {hosts, unix_path, tls, user, password.clone(), database, sentinel_master};
}

ParsedRedisAddress parse_redis_address(std::string_view url)
{
	return Parser(url).parse();
}

} // namespace sidecar::address
