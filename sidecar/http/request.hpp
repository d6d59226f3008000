// A request as the endpoints see it: complete, within bounds, and without its connection.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::http
{

// Bounds that the server checks before an endpoint sees the request.
inline constexpr std::size_t kMaxHeaderBytes = 16 * 1024; // request line and all headers
inline constexpr std::size_t kMaxTargetBytes = 8 * 1024;  // a code may be long
inline constexpr std::size_t kMaxBodyBytes = 16 * 1024;   // no endpoint reads one

// The listener that a request came to.
enum class Audience { everything, browser, api };

struct Request {
	Request() = default;
	~Request() { wipe(); }
	Request(Request &&) = default;
	Request &operator=(Request &&) = default;

	void wipe() noexcept // its secrets
	{
		common::wipe(query);
		common::wipe(cookie);
		common::wipe(authorization);
	}

	std::string_view id; // of the request, ours: 16 hexadecimal digits, which its connection keeps
	Audience audience = Audience::everything;
	std::string method;
	std::string path;          // as sent, without the query
	std::string query;         // as sent, without '?'
	std::string cookie;        // all Cookie headers, joined by "; "
	std::string authorization; // the Authorization header
	bool has_authorization = false;
	bool has_doubled_header = false; // Authorization came twice
	bool is_prefetch = false;        // Sec-Purpose or Purpose says so
	std::size_t body_bytes = 0;      // of a body that was read and dropped
};

} // namespace sidecar::http
