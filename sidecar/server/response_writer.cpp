#include "server/response_writer.hpp"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "base/log.hpp"

namespace sidecar::server
{

namespace
{

constexpr std::string_view kOurs[] = {
	"connection", "content-length", "content-type",      "date",    "keep-alive",
	"server",     "trailer",        "transfer-encoding", "upgrade", "x-request-id"};

std::string_view reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 204:
		return "No Content";
	case 302:
		return "Found";
	case 303:
		return "See Other";
	case 304:
		return "Not Modified";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 410:
		return "Gone";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 417:
		return "Expectation Failed";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return ""; // the reason may be empty (RFC 9112 section 4)
	}
}

bool is_name(std::string_view name)
{
	const auto is_token = [](char c) {
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			   c == '-' || c == '_';
	};
	return !name.empty() && std::all_of(name.begin(), name.end(), is_token);
}

bool is_value(std::string_view value)
{
	return std::none_of(value.begin(), value.end(),
						[](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

bool is_ours(std::string_view name)
{
	return std::any_of(std::begin(kOurs), std::end(kOurs), [name](std::string_view ours) {
		return ours.size() == name.size() &&
			   strncasecmp(ours.data(), name.data(), name.size()) == 0;
	});
}

// Made once a second.
std::string_view date()
{
	static time_t last = 0;
	static char text[64];
	static std::size_t size = 0;
	const time_t now = time(nullptr);
	if (now != last || size == 0) {
		tm utc{};
		gmtime_r(&now, &utc);
		size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
		last = now;
	}
	return {text, size};
}

void add(std::string &out, std::string_view name, std::string_view value)
{
	out.append(name).append(": ").append(value).append("\r\n");
}

// The value is not said: it may be a secret.
void add_checked(std::string &out, std::string_view name, std::string_view value,
				 std::string_view request_id)
{
	if (is_name(name) && is_value(value))
		add(out, name, value);
	else
		log::error("a header that no response may carry was left out",
				   {{"header", name}, {"request_id", request_id}});
}

std::size_t room_for(const http::Response &response)
{
	std::size_t size = 256 + response.content_type.size() + response.body.size();
	for (const auto &[name, value] : response.headers)
		size += name.size() + value.size() + 4;
	return size;
}

} // namespace

std::string answer_text(const http::Response &response, const AnswerKind &kind)
{
	std::string out;
	out.reserve(room_for(response)); // growing would leave copies behind
	const int status = response.status >= 200 && response.status <= 599 ? response.status : 500;
	out.append("HTTP/1.1 ").append(fmt::format_int(status).c_str()).append(" ");
	out.append(reason(status)).append("\r\n");
	add(out, "Date", date());
	if (!response.content_type.empty())
		add_checked(out, "Content-Type", response.content_type, kind.request_id);
	if (status != 204) // RFC 9110 section 8.6
		add(out, "Content-Length", fmt::format_int(response.body.size()).c_str());
	add(out, "X-Request-Id", kind.request_id);
	for (const auto &[name, value] : response.headers)
		if (is_ours(name))
			log::error("a header that is the server's own was left out",
					   {{"header", name}, {"request_id", kind.request_id}});
		else
			add_checked(out, name, value, kind.request_id);
	if (kind.closes)
		add(out, "Connection", "close");
	out += "\r\n";
	if (!kind.is_head && status != 204 && status != 304)
		out += response.body;
	return out;
}

} // namespace sidecar::server
