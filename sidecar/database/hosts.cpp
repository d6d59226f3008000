#include "database/hosts.hpp"

#include <algorithm>
#include <charconv>
#include <random>

namespace sidecar::database
{

namespace
{

constexpr std::chrono::seconds kShare{2};
constexpr std::chrono::seconds kLeast{2};

// The parts of one that is no list are those of all; libpq complains of other numbers.
const std::string &at(const std::vector<std::string> &parts, std::size_t i)
{
	return parts.size() == 1 ? parts[0] : parts[i];
}

} // namespace

std::vector<Host> hosts_of(const address::Conninfo &conninfo)
{
	const std::string_view names = conninfo.value("host");
	const std::string_view addresses = conninfo.value("hostaddr");
	const std::vector<std::string> name = address::parts_of(names);
	const std::vector<std::string> address = address::parts_of(addresses);
	const std::vector<std::string> port = address::parts_of(conninfo.value("port"));
	const std::size_t count = std::max(name.size(), address.size());
	// libpq takes an empty part for its own default, which a single value cannot say.
	const bool is_plain = names.empty() || count == 1 || std::ranges::count(name, "") == 0;
	const bool fits = (names.empty() || name.size() == count) &&
					  (addresses.empty() || address.size() == count) &&
					  (port.size() == 1 || port.size() == count);
	if (!is_plain || !fits)
		return {Host()};
	std::vector<Host> hosts;
	for (std::size_t i = 0; i < count; i++)
		hosts.push_back(
			{names.empty() ? "" : name[i], addresses.empty() ? "" : address[i], at(port, i), {}});
	return hosts;
}

std::vector<Host> by_preference(const address::Conninfo &address, std::vector<Host> hosts)
{
	if (address.value("load_balance_hosts") == "random")
		std::shuffle(hosts.begin(), hosts.end(), std::minstd_rand(std::random_device()()));
	if (hosts.size() < 2 || address.value("target_session_attrs") != "prefer-standby")
		return hosts;
	const std::size_t count = hosts.size();
	for (std::size_t i = 0; i < count; i++) {
		hosts.push_back(hosts[i]);
		hosts[i].session_attributes = "standby";
		hosts.back().session_attributes = "any";
	}
	return hosts;
}

std::chrono::milliseconds attempt_limit(const address::Conninfo &address, std::size_t hosts,
										std::chrono::milliseconds otherwise)
{
	const std::string_view text = address.value("connect_timeout");
	int seconds = 0;
	std::from_chars(text.data(), text.data() + text.size(), seconds);
	if (seconds > 0)
		return std::max<std::chrono::seconds>(kLeast, std::chrono::seconds(seconds));
	return hosts > 1 ? std::min<std::chrono::milliseconds>(otherwise, kShare) : otherwise;
}

} // namespace sidecar::database
