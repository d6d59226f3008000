// A response as it goes over the wire.
#pragma once

#include <string>
#include <string_view>

#include "http/response.hpp"

namespace sidecar::server
{

struct AnswerKind {
	std::string_view request_id;
	bool is_head = false; // headers only
	bool closes = false;
};

// The whole answer. What the server itself says (length, date, connection,
// request id) it alone says, and a header or type with a control character in it is
// left out and reported: no response can forge another. The caller wipes the text.
std::string answer_text(const http::Response &response, const AnswerKind &kind);

} // namespace sidecar::server
