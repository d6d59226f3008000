// Writes a response as bytes.
#pragma once

#include <string_view>

#include "common/secret_string.hpp"
#include "http/response.hpp"

namespace sidecar::server
{

struct AnswerKind {
	std::string_view request_id;
	bool is_head = false; // headers only
	bool closes = false;
};

// The whole answer. A header with a control character in its value is left out and logged, so
// no value can forge a header. (Names are literals of ours.)
common::Secret answer_text(const http::Response &response, const AnswerKind &kind);

} // namespace sidecar::server
