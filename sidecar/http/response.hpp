// An endpoint's answer.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::http
{

struct Response {
	Response() = default;
	// A literal alone lives as long as the answer.
	template <std::size_t size>
	Response(int answer_status, const char (&type)[size], std::string content)
		: status(answer_status), content_type(type), body(std::move(content))
	{
	}
	Response(Response &&) = default;
	Response &operator=(Response &&) = default;
	~Response() // a Location or a body may contain secrets
	{
		common::wipe(body);
		for (auto &[name, value] : headers)
			common::wipe(value);
	}

	// The name is a literal.
	Response &with(std::string_view name, std::string value)
	{
		if (headers.empty())
			headers.reserve(8); // more than most have
		headers.emplace_back(name, std::move(value));
		return *this;
	}

	int status = 500;
	std::string_view content_type;
	std::string body;
	std::vector<std::pair<std::string_view, std::string>> headers;
	std::string_view fixed_headers;     // whole lines, which live as long as the process
	std::string_view endpoint = "none"; // for log and metrics: a name of ours, never input
};

} // namespace sidecar::http
