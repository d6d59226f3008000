// Why a refresh gave no grant, for the log, the database and metrics (docs/design/refresh.md,
// "Kinds of failure"). One table of rules decides, after a provider's own rules.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "oauth/failure_rule.hpp"
#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"
#include "oauth/provider_words.hpp"
#include "oauth/stored_grant.hpp"
#include "oauth/token_answer.hpp"

namespace sidecar::oauth
{

inline constexpr std::size_t kMaxFailureDetailBytes = 500;
inline constexpr std::chrono::seconds kMaxRetryAfter{24 * 3600};

struct RefreshFailure {
	FailureKind kind;
	std::string_view reason; // a fixed text for the log
	ProviderWords words;     // what the provider said, without secrets; may be empty
	// The provider's Retry-After, at most kMaxRetryAfter; nothing: there was none, it
	// was not understood, or it is past.
	std::optional<std::chrono::seconds> retry_after;

	// The words, or else the reason, for oauth_refresh_fail(): at most 500 bytes.
	std::string detail() const;
};

// The request.
struct RefreshCall {
	const Provider &provider;
	const StoredGrant &stored;
	std::string_view refresh_token; // hidden in the words
	long long now;                  // seconds since 1970 UTC
};

// `no_grant` is the result of read_refresh_answer().
RefreshFailure refresh_failure(const RefreshCall &call, const ProviderAnswer &answer,
							   const NoGrant &no_grant);

// The header's value, in seconds or as an HTTP date (RFC 9110 section 10.2.3).
std::optional<std::chrono::seconds> read_retry_after(std::string_view value, long long now);

} // namespace sidecar::oauth
