// A request to a provider and its answer, as values: whoever sends it is told
// where, what, and within which bounds.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::oauth
{

struct ProviderRequest {
	enum class Kind { token, metadata };
	ProviderRequest() = default;
	ProviderRequest(ProviderRequest &&) = default;
	ProviderRequest &operator=(ProviderRequest &&) = default;

	Kind kind = Kind::metadata; // token: POST on a connection of its own, sent once
	std::string url;
	std::vector<std::pair<std::string, Secret>> headers;
	Secret body; // empty: GET
	// By CLOCK_BOOTTIME, which runs on while the machine sleeps: after it no byte may
	// leave. Looked at when the connection is there.
	std::optional<std::chrono::nanoseconds> send_until;
};

struct ProviderAnswer {
	// What kept us from an answer; `none` where there is one of any status.
	enum class Failure {
		none,
		busy,
		resolve,
		connect,
		tls,
		timeout,
		too_large,
		broken,
		too_late, // past send_until
	};
	ProviderAnswer() = default;
	ProviderAnswer(ProviderAnswer &&) = default;
	ProviderAnswer &operator=(ProviderAnswer &&) = default;

	Failure failure = Failure::none;
	// Whether a byte of the request may have left: if so, and no answer came, the
	// provider may have done what it was asked for.
	bool was_sent = false;
	int status = 0;
	std::string content_type; // without parameters, lower case
	std::string retry_after;
	// What else explains a refusal, for the log: libcurl's own words where there is no
	// answer, where a redirect leads to (without its query), a challenge's text.
	std::string detail;
	Secret body;
};

} // namespace sidecar::oauth
