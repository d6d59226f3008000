#include <algorithm>
#include <string>
#include <utility>

#include "address/conninfo.hpp"
#include "address/database_address.hpp"
#include "base/text.hpp"
#include "settings/database_parameters.hpp"
#include "settings/special_settings.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kSeparator = "://";
constexpr std::string_view kQuote = "a value with spaces must be in single quotes, with a \\ "
									"before each ' and \\ in it";

bool is_postgres_scheme(std::string_view scheme)
{
	constexpr std::string_view kJdbc = "jdbc:";
	std::string lowered = lower(scheme);
	if (lowered.starts_with(kJdbc))
		lowered.erase(0, kJdbc.size());
	return lowered == "postgres" || lowered == "postgresql" || lowered.starts_with("postgresql+") ||
		   lowered.starts_with("postgres+");
}

// The character that cannot stand in a URL, or nothing. A password with an
// unencoded '%' is the usual one, and libpq's message would quote it.
std::string_view url_error(std::string_view url)
{
	for (std::size_t i = 0; i < url.size(); i++) {
		if (common::is_white_space(url[i]))
			return "there is a space in it; write %20";
		if (url[i] == '%' &&
			(url.size() - i < 3 || !common::is_lower_hex(common::to_lower(url[i + 1])) ||
			 !common::is_lower_hex(common::to_lower(url[i + 2]))))
			return "a % in it is not followed by two hexadecimal digits; write %25 "
				   "for the "
				   "character itself";
	}
	return {};
}

// Where the parameters begin, as libpq sees it: a password may hold a ?.
std::size_t query_of(std::string_view url, std::size_t authority)
{
	const std::size_t ends = url.find_first_of("@/", authority);
	const bool has_user = ends != url.npos && url[ends] == '@';
	return std::min(url.size(), url.find('?', has_user ? ends : authority));
}

// The parameters, each with what goes before it.
common::Secret taken_query(std::string_view query, const Given &given)
{
	common::Secret all;
	std::string mode;
	for (const std::string &parameter : split(query, "&")) {
		std::string text = taken_parameter(parameter, given);
		if (text.starts_with("sslmode=")) {
			if (!mode.empty() && mode != text)
				given.error("it says two things of sslmode (or ssl); keep one");
			mode = text;
		}
		if (!text.empty()) {
			all.append(all.empty() ? "?" : "&");
			all.append(text);
		}
		common::wipe(text);
	}
	return all;
}

// libpq's message would quote the whole text, so what is wrong is looked for
// here.
std::string keyed_error(std::string_view text)
{
	std::string_view last;
	while (!(text = common::trim(text)).empty()) {
		const std::size_t equals = text.find('=');
		const std::string_view name = common::trim(text.substr(0, equals));
		if (equals == text.npos || std::ranges::any_of(name, common::is_white_space))
			return std::string(kQuote);
		if (!is_libpq_parameter(name))
			return last == "password" ? std::string(kQuote) : refusal_of(name);
		last = name;
		text = common::trim(text.substr(equals + 1));
		const bool is_quoted = text.starts_with('\'');
		std::size_t end = is_quoted ? 1 : 0;
		while (end < text.size() &&
			   (is_quoted ? text[end] != '\'' : !common::is_white_space(text[end])))
			end += text[end] == '\\' ? 2 : 1;
		text.remove_prefix(std::min(text.size(), end + (is_quoted ? 1 : 0)));
	}
	return std::string(kQuote);
}

void check_keyed(const Given &given)
{
	if (given.text().find('=') == std::string_view::npos)
		given.error("it must be like postgresql://user:password@host:5432/database");
	else if (const auto options = address::Conninfo::of(given.value); !options)
		given.error(keyed_error(given.text()));
	else
		check_values(options, given);
}

// A URL with libpq's own scheme and parameters.
common::Secret normal_url(const Given &given, std::size_t separator)
{
	const std::string_view url = given.text();
	const std::size_t query = query_of(url, separator + kSeparator.size());
	common::Secret normal("postgresql");
	normal.append(url.substr(separator, query - separator));
	// What looks like a parameter may be a part of a password, which libpq then
	// refuses.
	if (url.find('@', query) != url.npos)
		normal.append(url.substr(query));
	else if (query < url.size())
		normal.append(taken_query(url.substr(query + 1), given).reveal());
	return normal;
}

} // namespace

// Neither Boost.URL nor RFC 3986 takes what libpq does: several hosts with
// ports, and a password with ? and # in it.
void database_url(Given &given)
{
	const std::string_view url = given.text();
	const std::size_t separator = url.find(kSeparator);
	const bool is_keyed = separator == url.npos || url.substr(0, separator).find('=') != url.npos;
	const std::size_t errors = given.sources.diagnostics.errors.size();
	common::Secret &stored = given.settings.database_url;
	if (is_keyed) {
		check_keyed(given);
		stored = std::move(given.value);
	} else if (!is_postgres_scheme(url.substr(0, separator))) {
		given.error("it must begin with postgresql://");
	} else if (const std::string_view wrong = url_error(url); !wrong.empty()) {
		given.error(wrong);
	} else {
		stored = normal_url(given, separator);
		if (given.sources.diagnostics.errors.size() != errors)
			return;
		if (const auto wrong_url = address::error_of_url(stored))
			given.error("it " + *wrong_url);
		else
			check_values(address::Conninfo::of(stored), given);
	}
}

} // namespace sidecar::settings
