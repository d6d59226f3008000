#include "server/request_reader.hpp"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <string>
#include <utility>

#include "common/ascii.hpp"
#include "common/printable.hpp"
#include "common/secret_string.hpp"

namespace sidecar::server
{

namespace
{

namespace beast = boost::beast;
using Error = beast::http::error;
using beast::http::field;

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
// The shortest end of a chunked body. Beast's parser asserts that it gets as many bytes.
constexpr std::size_t kChunkedEnd = 5;
// Including chunk sizes and extensions.
constexpr std::size_t kMaxBodyOnWire = 4 * http::kMaxBodyBytes;

std::string_view plain(beast::string_view text)
{
	return {text.data(), text.size()};
}

// A line feed without a carriage return before it, or a line that continues the one before
// (obs-fold, RFC 9112 section 5.2).
bool has_odd_lines(std::string_view head)
{
	for (auto at = head.find('\n'); at != std::string_view::npos; at = head.find('\n', at + 1)) {
		if (at == 0 || head[at - 1] != '\r')
			return true;
		if (at + 1 < head.size() && (head[at + 1] == ' ' || head[at + 1] == '\t'))
			return true;
	}
	return false;
}

// The status to refuse a request line with, as far as it has arrived. 0: no reason yet.
int fault_of_line(std::string_view line, bool whole)
{
	const auto method_end = std::min(line.find(' '), line.size());
	const auto method = line.substr(0, method_end);
	// Bytes that are not HTTP, such as TLS, must not wait for the time limit.
	if (!line.empty() && !common::is_letter(line.front()))
		return 400;
	if (method.size() > kMaxMethodBytes)
		return 501;
	if (method_end == line.size())
		return whole ? 400 : 0;
	line.remove_prefix(method_end + 1);
	const auto target = line.substr(0, line.find(' '));
	if (target.size() > http::kMaxTargetBytes)
		return 414;
	if (!whole)
		return 0;
	line.remove_prefix(std::min(target.size() + 1, line.size()));
	if (line.size() == 8 && line.starts_with("HTTP/") && common::is_digit(line[5]) &&
		line[6] == '.' && common::is_digit(line[7]))
		return line == "HTTP/1.1" || line == "HTTP/1.0" ? 0 : 505;
	return 400;
}

bool says_prefetch(std::string_view value)
{
	std::string lower(value);
	std::ranges::transform(lower, lower.begin(), common::to_lower);
	return lower.find("prefetch") != lower.npos || lower.find("prerender") != lower.npos ||
		   lower.find("preview") != lower.npos;
}

} // namespace

class RequestReader::Parser : public beast::http::basic_parser<true>
{
public:
	Parser()
	{
		header_limit(http::kMaxHeaderBytes + 1); // our own limit is lower
		body_limit(http::kMaxBodyBytes);
		eager(true);
	}

	bool is_current() const noexcept { return version_ >= 11; }

	http::Request request;
	int status = 400; // of the refusal

private:
	using Code = beast::error_code;

	void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target,
						 int version, Code &error) override
	{
		version_ = version;
		request.method = plain(method);
		// Only the origin form, and only ASCII: Beast lets bytes over 0x7f pass.
		const auto text = plain(target);
		if (!text.starts_with('/') || !common::is_all_printable(text) ||
			text.find(' ') != std::string_view::npos)
			return refuse(400, error);
		const auto path_end = std::min(text.find('?'), text.size());
		request.path = text.substr(0, path_end);
		request.query = text.substr(std::min(path_end + 1, text.size()));
	}

	void on_field_impl(field name, beast::string_view name_text, beast::string_view value_text,
					   Code &error) override
	{
		if (is_head_done_)
			return; // a trailer is ignored
		const auto value = plain(value_text);
		if (++headers_ > kMaxHeaders)
			return refuse(431, error);
		const bool is_bad_coding = version_ < 11 || !beast::iequals(value_text, "chunked");
		if ((name == field::host && ++hosts_ > 1) ||
			(name == field::content_length && ++lengths_ > 1) ||
			(name == field::transfer_encoding && (++codings_ > 1 || is_bad_coding)))
			refuse(400, error);
		else if (name == field::expect)
			refuse(
				417,
				error); // no client should wait for our permission to send a body that is dropped
		else if (name == field::authorization)
			authorize(value);
		else if (name == field::cookie)
			add_cookie(value);
		else if (beast::iequals(name_text, "purpose") || beast::iequals(name_text, "sec-purpose"))
			request.is_prefetch = request.is_prefetch || says_prefetch(value);
	}

	void on_header_impl(Code &error) override
	{
		is_head_done_ = true;
		if ((hosts_ == 0 && version_ >= 11) || (lengths_ > 0 && codings_ > 0))
			refuse(400, error);
	}

	void on_body_init_impl(const boost::optional<std::uint64_t> &, Code &) override {}

	std::size_t on_body_impl(beast::string_view body, Code &) override
	{
		request.body_bytes += body.size();
		return body.size();
	}

	void on_chunk_header_impl(std::uint64_t, beast::string_view, Code &) override {}

	std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, Code &) override
	{
		request.body_bytes += body.size();
		return body.size();
	}

	void on_finish_impl(Code &) override {}
	void on_response_impl(int, beast::string_view, int, Code &) override {}

	void refuse(int answer, Code &error)
	{
		status = answer;
		error = Error::bad_value;
	}

	void authorize(std::string_view value)
	{
		request.has_doubled_header = request.has_authorization;
		if (!request.has_authorization)
			request.authorization = value;
		request.has_authorization = true;
	}

	// A string that grows leaves its old memory unwiped.
	void add_cookie(std::string_view value)
	{
		if (request.cookie.empty()) {
			request.cookie = value;
			return;
		}
		std::string joined;
		joined.reserve(request.cookie.size() + 2 + value.size());
		joined.append(request.cookie).append("; ").append(value);
		common::wipe(request.cookie);
		request.cookie = std::move(joined);
	}

	int version_ = 11;
	std::size_t headers_ = 0;
	int hosts_ = 0;
	int lengths_ = 0;
	int codings_ = 0;
	bool is_head_done_ = false;
};

RequestReader::RequestReader() : parser_(std::make_unique<Parser>()) {}
RequestReader::~RequestReader() = default;

RequestReader::State RequestReader::feed(Buffer &buffer)
{
	return is_head_read_ ? read_body(buffer) : read_head(buffer);
}

// The parser gets the head in one piece, or not at all.
RequestReader::State RequestReader::read_head(Buffer &buffer)
{
	// Empty lines before a request are ignored (RFC 9112 section 2.2).
	while (searched_ == 0 && buffer.data().starts_with(kLineEnd))
		buffer.consume(kLineEnd.size());
	const auto data = buffer.data();
	if (data.empty() || data == "\r")
		return State::more;
	const auto end = data.find(kHeadEnd, searched_);
	const auto line_end = data.find(kLineEnd);
	const bool has_line = line_end != std::string_view::npos;
	if (const int fault = fault_of_line(data.substr(0, line_end), has_line))
		return refuse(fault);
	if (end == std::string_view::npos) {
		searched_ = data.size() - std::min(data.size(), kHeadEnd.size() - 1);
		return buffer.full() ? refuse(431) : State::more;
	}
	const auto head = data.substr(0, end + kHeadEnd.size());
	if (has_odd_lines(head))
		return refuse(400);
	beast::error_code error;
	const std::size_t taken = parser_->put(boost::asio::buffer(head), error);
	buffer.consume(taken);
	if (error && error != Error::need_more)
		return refuse(error == Error::body_limit ? 413 : parser_->status);
	is_head_read_ = true;
	return parser_->is_done() ? State::whole : read_body(buffer);
}

RequestReader::State RequestReader::read_body(Buffer &buffer)
{
	const auto data = buffer.data();
	if (data.empty() || (parser_->chunked() && data.size() < kChunkedEnd))
		return State::more;
	beast::error_code error;
	const std::size_t taken = parser_->put(boost::asio::buffer(data), error);
	buffer.consume(taken);
	body_read_ += taken;
	if (error && error != Error::need_more)
		return refuse(error == Error::body_limit ? 413 : 400);
	if (parser_->is_done())
		return State::whole;
	if (body_read_ > kMaxBodyOnWire)
		return refuse(413);
	return buffer.full() ? refuse(400) : State::more;
}

RequestReader::State RequestReader::refuse(int status) noexcept
{
	status_ = status;
	return State::refused;
}

int RequestReader::status() const noexcept
{
	return status_;
}

// An HTTP/1.0 connection is always closed.
bool RequestReader::keep_alive() const noexcept
{
	return parser_->is_done() && parser_->keep_alive() && parser_->is_current();
}

http::Request &RequestReader::request() noexcept
{
	return parser_->request;
}

} // namespace sidecar::server
