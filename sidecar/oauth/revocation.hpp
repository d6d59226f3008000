// Revokes a grant at its provider: RFC 7009.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"
#include "oauth/provider_words.hpp"

namespace sidecar::oauth
{

enum class TokenHint { refresh_token, access_token };

// The provider must have a revocation endpoint. The client authenticates as at the token
// endpoint (RFC 7009 section 2.1).
ProviderRequest revocation_request(const Provider &provider, const ProviderEndpoints &endpoints,
								   std::string_view token, TokenHint hint);

struct RevocationAnswer {
	enum class Kind {
		done,        // it is revoked, or was not valid (RFC 7009 section 2.2)
		refused,     // 400 for a reason that will not change: it may not be revoked
		unsupported, // tokens of this type cannot be revoked (section 2.2.1)
		retry,
	} kind;
	// A fixed text for the log; empty if it is simply done.
	std::string_view reason;
	ProviderWords words; // what the provider said, without secrets; may be empty
	std::optional<std::chrono::seconds> retry_after;

	// For the database: the words, or else the reason.
	std::string detail() const;
};

// `token` is hidden in the words; `now` is in seconds since 1970 UTC.
RevocationAnswer read_revocation_answer(const Provider &provider, std::string_view token,
										const ProviderAnswer &answer, long long now);

} // namespace sidecar::oauth
