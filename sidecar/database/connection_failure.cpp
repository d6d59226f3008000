#include "database/connection_failure.hpp"

#include <algorithm>

#include "common/ascii.hpp"

namespace sidecar::database
{

namespace
{

constexpr std::size_t kStateChars = 5;

struct Advice {
	std::string_view sign; // an SQLSTATE, or a part of libpq's text
	std::string_view text;
};

// The first that fits.
constexpr Advice kAdvice[] = {
	{"28P01", "correct user and password in DATABASE_URL"},
	{"28000", "correct the user in DATABASE_URL, or let it in by the server's pg_hba.conf"},
	{"3D000", "correct the database's name in DATABASE_URL, or create it"},
	{"denied to set role", "leave the role out of options in DATABASE_URL, or GRANT it"},
	{"start walsender", "leave replication out of DATABASE_URL"},
	{"start WAL sender", "leave replication out of DATABASE_URL"}, // from PostgreSQL 17 on
	{"42501", "GRANT CONNECT ON DATABASE to the user of DATABASE_URL"},
	{"53300", "raise max_connections of the server, or lower OAUTH_DATABASE_POOL"},
	{"57P03", "the server is starting or stopping; wait for it"},
	{"0A000", "the server or pooler does not take what DATABASE_URL asks for"},
	{"08P01", "the server or pooler does not take what DATABASE_URL asks for"},
	{"no password supplied", "put a password into DATABASE_URL, or a line into .pgpass"},
	{"could not translate host name", "correct the host in DATABASE_URL, or its entry in DNS"},
	{"root certificate file", "correct sslrootcert in DATABASE_URL"},
	{"certificate file", "correct sslcert in DATABASE_URL"},
	{"private key file", "correct sslkey in DATABASE_URL"},
	{"certificate verify failed",
	 "sslrootcert in DATABASE_URL is to name the authority that signed the server's certificate"},
	{"does not match host name", "the host in DATABASE_URL is to be a name in its certificate"},
	{"server does not support SSL", "sslmode in DATABASE_URL asks for TLS, which it has not"},
	{"session is read-only", "DATABASE_URL is to lead to the primary"},
	{"session is not read-only", "target_session_attrs in DATABASE_URL asks for a standby"},
	{"server is in hot standby mode", "DATABASE_URL is to lead to the primary"},
	{"server is not in hot standby mode",
	 "target_session_attrs in DATABASE_URL asks for a standby"},
	{"Connection refused", "is the server running, and are host and port in DATABASE_URL its own?"},
	{"No such file or directory",
	 "is the server running, and are host and port in DATABASE_URL its own?"},
};

bool is_state(std::string_view text)
{
	return text.size() == kStateChars && std::ranges::all_of(text, [](char c) {
			   return common::is_digit(c) || (c >= 'A' && c <= 'Z');
		   });
}

// In "FATAL:  28P01: password …"; the first word may be translated.
std::string take_state(std::string &text)
{
	constexpr std::string_view kBefore = ":  ";
	for (std::size_t at = text.find(kBefore); at != text.npos; at = text.find(kBefore, at + 1)) {
		const std::size_t begin = at + kBefore.size();
		const std::string state = text.substr(begin, kStateChars);
		if (!is_state(state) || text.compare(begin + kStateChars, 2, ": ") != 0)
			continue;
		text.erase(begin, kStateChars + 2);
		return state;
	}
	return {};
}

std::string one_line(std::string_view text)
{
	std::string line;
	for (const char c : text.substr(0, text.find("\nLOCATION:")))
		if (c != '\n' && c != '\t')
			line += c;
		else if (!line.empty() && line.back() != ' ')
			line += ' ';
	line.erase(line.find_last_not_of(' ') + 1);
	return line;
}

} // namespace

std::string explain(std::string_view message)
{
	std::string text = one_line(message);
	const std::string state = take_state(text);
	if (!state.empty())
		text += " (SQLSTATE " + state + ')';
	for (const Advice &advice : kAdvice)
		if (state == advice.sign || text.find(advice.sign) != text.npos)
			return text + ": " + std::string(advice.text);
	return text;
}

} // namespace sidecar::database
