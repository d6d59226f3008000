// A request to a provider and its answer, as values: the address, the contents, and the
// limits.
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
	std::vector<std::pair<std::string, common::Secret>> headers;
	common::Secret body; // empty: GET
	// By CLOCK_BOOTTIME, which also runs while the machine sleeps. No byte may leave after it.
	// Checked when the connection is made.
	std::optional<std::chrono::nanoseconds> send_until;
};

struct ProviderAnswer {
	// Why there is no answer; `none` if there is one, of any status.
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
	// Whether a byte of the request may have left. If so, and no answer came, the provider may
	// have done what we asked for.
	bool was_sent = false;
	int status = 0;
	std::string content_type; // without parameters, lower case
	std::string retry_after;
	// What else explains a refusal, for the log: libcurl's own message if there is no answer,
	// the address of a redirect (without its query), the text of a challenge.
	std::string detail;
	common::Secret body;
};

} // namespace sidecar::oauth
