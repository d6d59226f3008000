#include "settings/database_url.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "address/conninfo.hpp"
#include "address/database_address.hpp"
#include "base/text.hpp"
#include "settings/database_values.hpp"
#include "settings/foreign_parameters.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kName = "DATABASE_URL";
constexpr std::string_view kSeparator = "://";
constexpr std::string_view kJdbc = "jdbc:";
constexpr std::string_view kQuote = "a value with spaces must be in single quotes, with a \\ "
									"before each ' and \\ in it";

bool is_postgres_scheme(std::string_view scheme)
{
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
		if (is_space(url[i]))
			return "there is a space in it; write %20";
		if (url[i] == '%' &&
			(url.size() - i < 3 || !is_hex_digit(url[i + 1]) || !is_hex_digit(url[i + 2])))
			return "a % in it is not followed by two hexadecimal digits; write %25 for the "
				   "character itself";
	}
	return {};
}

// A word of sslmode for what drivers write as ssl; nothing where it is neither.
std::optional<std::string_view> ssl_mode(std::string_view given)
{
	struct Word {
		std::string_view ssl;
		std::string_view mode;
	};
	static constexpr Word kWords[] = {
		{"true", "require"},    {"on", "require"},          {"yes", "require"},
		{"1", "require"},       {"false", "disable"},       {"off", "disable"},
		{"no", "disable"},      {"0", "disable"},           {"no-verify", "require"},
		{"disable", "disable"}, {"allow", "allow"},         {"prefer", "prefer"},
		{"require", "require"}, {"verify-ca", "verify-ca"}, {"verify-full", "verify-full"},
	};
	const std::string word = lower(given);
	for (const auto &[ssl, mode] : kWords)
		if (ssl == word)
			return mode;
	return std::nullopt;
}

// Why a parameter that this libpq does not know cannot stand there.
std::string refusal_of(std::string_view name)
{
	const std::string shown = "the parameter " + shown_name(name) + " in it ";
	const ForeignParameter foreign = foreign_parameter(name);
	if (foreign.kind == Foreign::refused)
		return shown + "is not PostgreSQL's: " + std::string(foreign.advice);
	if (foreign.kind == Foreign::ignored)
		return shown + "is about another client; leave it out";
	if (name == "ssl")
		return shown + "is a driver's; write sslmode";
	return shown + "is none that libpq knows" +
		   nearest_hint(name, database::Conninfo::defaults().keywords()) + "; leave it out";
}

bool is_known(std::string_view name)
{
	const auto keywords = database::Conninfo::defaults().keywords();
	return std::ranges::find(keywords, name) != keywords.end();
}

// Where the parameters begin, as libpq sees it: a password may hold a ?.
std::size_t query_of(std::string_view url, std::size_t authority)
{
	const std::size_t ends = url.find_first_of("@/", authority);
	return url.find('?', ends != url.npos && url[ends] == '@' ? ends : authority);
}

// Empty, these are not the default.
bool takes_a_word(std::string_view name)
{
	return name == "sslmode" || name == "target_session_attrs" || name == "gssencmode" ||
		   name == "channel_binding" || name == "load_balance_hosts";
}

// One of the parameters, in the form that libpq takes; empty where it is left out.
std::string taken(std::string_view parameter, Diagnostics &diagnostics)
{
	const std::size_t equals = parameter.find('=');
	const std::string_view name = parameter.substr(0, equals);
	const std::string_view value =
		equals == parameter.npos ? std::string_view() : parameter.substr(equals + 1);
	if (name == "ssl") {
		if (const auto mode = ssl_mode(value))
			return "sslmode=" + std::string(*mode);
		diagnostics.error(kName, "the parameter ssl in it must be true, false or a word of sslmode "
								 "(require, verify-full …)");
		return {};
	}
	if (equals == parameter.npos || (value.empty() && takes_a_word(name))) {
		diagnostics.error(kName, "the parameter " + shown_name(name) + " in it has no value");
		return {};
	}
	if (is_known(name))
		return std::string(parameter);
	if (foreign_parameter(name).kind == Foreign::ignored)
		diagnostics.warn(kName, "the parameter " + shown_name(name) +
									" in it is about another client, and is ignored");
	else
		diagnostics.error(kName, refusal_of(name));
	return {};
}

// The parameters, each with what goes before it.
Secret taken_query(std::string_view query, Diagnostics &diagnostics)
{
	Secret all;
	std::string mode;
	for (const std::string &parameter : split(query, "&")) {
		std::string text = taken(parameter, diagnostics);
		if (text.starts_with("sslmode=")) {
			if (!mode.empty() && mode != text)
				diagnostics.error(kName, "it says two things of sslmode (or ssl); keep one");
			mode = text;
		}
		if (!text.empty()) {
			all.append(all.empty() ? "?" : "&");
			all.append(text);
		}
		wipe(text);
	}
	return all;
}

// libpq's message would quote the whole text, so what is wrong is looked for here.
std::string keyed_error(std::string_view text)
{
	std::string_view last;
	while (!(text = trimmed(text)).empty()) {
		const std::size_t equals = text.find('=');
		const std::string_view name = trimmed(text.substr(0, equals));
		if (equals == text.npos || std::ranges::any_of(name, is_space))
			return std::string(kQuote);
		if (!is_known(name))
			return last == "password" ? std::string(kQuote) : refusal_of(name);
		last = name;
		text = trimmed(text.substr(equals + 1));
		const bool is_quoted = text.starts_with('\'');
		std::size_t end = is_quoted ? 1 : 0;
		while (end < text.size() && (is_quoted ? text[end] != '\'' : !is_space(text[end])))
			end += text[end] == '\\' ? 2 : 1;
		text.remove_prefix(std::min(text.size(), end + (is_quoted ? 1 : 0)));
	}
	return std::string(kQuote);
}

Secret keyed(Secret given, Diagnostics &diagnostics)
{
	const std::string_view text = given.reveal();
	if (text.find('=') == text.npos)
		diagnostics.error(kName, "it must be like postgresql://user:password@host:5432/database");
	else if (const auto options = database::Conninfo::of(given); !options)
		diagnostics.error(kName, keyed_error(text));
	else
		check_values(options, diagnostics);
	return given;
}

Secret normal_form(Secret given, Diagnostics &diagnostics)
{
	const std::string_view url = given.reveal();
	const std::size_t separator = url.find(kSeparator);
	const bool is_keyed = separator == url.npos || url.substr(0, separator).find('=') != url.npos;
	if (is_keyed)
		return keyed(std::move(given), diagnostics);
	if (!is_postgres_scheme(url.substr(0, separator))) {
		diagnostics.error(kName, "it must begin with postgresql://");
		return given;
	}
	if (const std::string_view wrong = url_error(url); !wrong.empty()) {
		diagnostics.error(kName, wrong);
		return given;
	}
	const std::size_t query = std::min(url.size(), query_of(url, separator + kSeparator.size()));
	const std::string_view parameters = url.substr(std::min(url.size(), query + 1));
	Secret normal("postgresql");
	normal.append(url.substr(separator, query - separator));
	// What looks like a parameter may be a part of a password then.
	const bool is_torn = parameters.find('@') != parameters.npos;
	const std::size_t errors = diagnostics.errors.size();
	if (is_torn) {
		normal.append(url.substr(query));
	} else {
		normal.append(taken_query(parameters, diagnostics).reveal());
	}
	if (diagnostics.errors.size() != errors)
		return normal;
	if (const auto wrong = database::error_of_url(normal))
		diagnostics.error(kName, "it " + *wrong);
	else
		check_values(database::Conninfo::of(normal), diagnostics);
	return normal;
}

} // namespace

void database_url(Given &given)
{
	given.settings.database_url = normal_form(std::move(given.value), given.sources.diagnostics);
}

} // namespace sidecar::settings
