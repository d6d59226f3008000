#include "server/response_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <ctime>
#include <string>

#include "base/log.hpp"
#include "common/ascii.hpp"

namespace sidecar::server
{

namespace
{

namespace beast = boost::beast;

bool is_value(std::string_view value)
{
	return std::ranges::none_of(value, [](char c) { return common::is_control(c) && c != '\t'; });
}

// Made once a second by each thread.
std::string_view date()
{
	thread_local time_t last = 0;
	thread_local char text[64];
	thread_local std::size_t size = 0;
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

// The value is not logged: it may be a secret.
void add_checked(std::string &out, std::string_view name, std::string_view value,
				 std::string_view request_id)
{
	if (is_value(value))
		add(out, name, value);
	else
		log::error("a header with a control character was left out",
				   {{"header", name}, {"request_id", request_id}});
}

std::size_t room_for(const http::Response &response)
{
	std::size_t size =
		256 + response.content_type.size() + response.body.size() + response.fixed_headers.size();
	for (const auto &[name, value] : response.headers)
		size += name.size() + value.size() + 4;
	return size;
}

} // namespace

common::Secret answer_text(const http::Response &response, const AnswerKind &kind)
{
	std::string out;
	out.reserve(room_for(response)); // a string that grows would leave copies in memory
	const int status = response.status;
	out.append("HTTP/1.1 ").append(fmt::format_int(status).c_str()).append(" ");
	out.append(beast::http::obsolete_reason(beast::http::int_to_status(status))).append("\r\n");
	add(out, "Date", date());
	if (!response.content_type.empty())
		add(out, "Content-Type", response.content_type);
	add(out, "Content-Length", fmt::format_int(response.body.size()).c_str());
	add(out, "X-Request-Id", kind.request_id);
	for (const auto &[name, value] : response.headers)
		add_checked(out, name, value, kind.request_id);
	out += response.fixed_headers;
	if (kind.closes)
		add(out, "Connection", "close");
	out += "\r\n";
	if (!kind.is_head)
		out += response.body;
	return common::Secret::take(out);
}

} // namespace sidecar::server
