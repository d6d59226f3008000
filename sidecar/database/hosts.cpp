#include "database/hosts.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <random>

#include "address/conninfo.hpp"

namespace sidecar::database
{

namespace
{

constexpr std::size_t kAddresses = 8; // of one name
constexpr std::chrono::seconds kShare{2};
constexpr std::chrono::seconds kLeast{2};

struct FreeAddresses {
	void operator()(addrinfo *found) const noexcept { freeaddrinfo(found); }
};

bool is_socket(std::string_view name) noexcept
{
	return name.starts_with('/') || name.starts_with('@');
}

// Nothing where the name is not known: then libpq says so.
std::vector<std::string> addresses_of(const std::string &name)
{
	std::vector<std::string> addresses;
	addrinfo hints{};
	hints.ai_socktype = SOCK_STREAM;
	addrinfo *found = nullptr;
	if (getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0)
		return addresses;
	const std::unique_ptr<addrinfo, FreeAddresses> all(found);
	for (; found != nullptr && addresses.size() < kAddresses; found = found->ai_next) {
		char text[NI_MAXHOST];
		if (getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0,
						NI_NUMERICHOST) == 0)
			addresses.emplace_back(text);
	}
	return addresses;
}

std::string_view value_of(const Conninfo &given, const Conninfo &defaults, std::string_view keyword)
{
	const std::string_view value = given.value(keyword);
	return value.empty() ? defaults.value(keyword) : value;
}

// The parts of one that is no list are those of all; libpq complains of other numbers.
const std::string &at(const std::vector<std::string> &parts, std::size_t i)
{
	static const std::string none;
	if (parts.size() == 1)
		return parts[0];
	return i < parts.size() ? parts[i] : none;
}

// A name that has several addresses is as many hosts, so that each has its time.
void add(std::vector<Host> &hosts, const Host &host)
{
	std::vector<std::string> addresses;
	if (host.address.empty() && !host.name.empty() && !is_socket(host.name))
		addresses = addresses_of(host.name);
	if (addresses.size() < 2)
		hosts.push_back(host);
	else
		for (const std::string &address : addresses)
			hosts.push_back({host.name, address, host.port, host.session_attributes});
}

// As the address has them, each with its place in the lists of names, addresses and ports.
std::vector<Host> listed(const Conninfo &given, const Conninfo &defaults)
{
	std::string_view names = given.value("host");
	std::string_view addresses = given.value("hostaddr");
	if (names.empty() && addresses.empty()) {
		names = defaults.value("host");
		addresses = defaults.value("hostaddr");
	}
	const std::vector<std::string> name = parts_of(names);
	const std::vector<std::string> address = parts_of(addresses);
	const std::vector<std::string> port = parts_of(value_of(given, defaults, "port"));
	const std::size_t count = std::max(name.size(), address.size());
	std::vector<Host> hosts;
	// libpq takes an empty part for its own default, which a single value cannot say.
	const bool is_plain = names.empty() || count == 1 || std::ranges::count(name, "") == 0;
	const bool fits = (names.empty() || name.size() == count) &&
					  (addresses.empty() || address.size() == count) &&
					  (port.size() == 1 || port.size() == count);
	if (!is_plain || !fits)
		return {Host()};
	for (std::size_t i = 0; i < count; i++)
		add(hosts,
			{names.empty() ? "" : name[i], addresses.empty() ? "" : address[i], at(port, i), {}});
	return hosts;
}

} // namespace

std::vector<Host> hosts_of(const Secret &url)
{
	const Conninfo given = Conninfo::of(url);
	const Conninfo defaults = Conninfo::defaults();
	if (!given || !defaults || !given.value("service").empty())
		return {Host()};
	std::vector<Host> hosts = listed(given, defaults);
	if (value_of(given, defaults, "load_balance_hosts") == "random")
		std::shuffle(hosts.begin(), hosts.end(), std::minstd_rand(std::random_device()()));
	if (hosts.size() < 2 || value_of(given, defaults, "target_session_attrs") != "prefer-standby")
		return hosts;
	const std::size_t count = hosts.size();
	for (std::size_t i = 0; i < count; i++) {
		hosts.push_back(hosts[i]);
		hosts[i].session_attributes = "standby";
		hosts.back().session_attributes = "any";
	}
	return hosts;
}

std::chrono::milliseconds attempt_limit(const Secret &url, std::size_t hosts,
										std::chrono::milliseconds otherwise)
{
	const Conninfo given = Conninfo::of(url);
	const Conninfo defaults = Conninfo::defaults();
	const std::string_view text = value_of(given, defaults, "connect_timeout");
	int seconds = 0;
	std::from_chars(text.data(), text.data() + text.size(), seconds);
	if (seconds > 0)
		return std::max<std::chrono::seconds>(kLeast, std::chrono::seconds(seconds));
	return hosts > 1 ? std::min<std::chrono::milliseconds>(otherwise, kShare) : otherwise;
}

} // namespace sidecar::database
