#include "http/response.hpp"

#include "common/secret_string.hpp"

namespace sidecar::http
{

namespace
{

constexpr std::size_t kUsualHeaders = 8;

}

Response::Response(int answer_status, std::string_view type, std::string content)
	: status(answer_status), content_type(type), body(std::move(content))
{
}

Response::~Response()
{
	wipe(body);
	for (auto &[name, value] : headers)
		wipe(value);
}

Response &Response::with(std::string_view name, std::string value)
{
	if (headers.empty())
		headers.reserve(kUsualHeaders);
	headers.emplace_back(name, std::move(value));
	return *this;
}

} // namespace sidecar::http
