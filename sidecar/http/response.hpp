// An endpoint's answer.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sidecar::http
{

struct Response {
	Response() = default;
	Response(int answer_status, std::string_view type, std::string content);
	Response(Response &&) = default;
	Response &operator=(Response &&) = default;
	~Response(); // wipes headers and body: a Location or a body may contain secrets

	// The name is a literal.
	Response &with(std::string_view name, std::string value);

	int status = 500;
	std::string content_type;
	std::string body;
	std::vector<std::pair<std::string_view, std::string>> headers;
	std::string_view endpoint = "none"; // for log and metrics: a name of ours, never input
};

} // namespace sidecar::http
