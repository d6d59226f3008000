// The checks of a callback, without I/O (docs/design/flow.md, "Callback"). Each step takes what
// the one before it gave, and throws End if the flow ends there; endpoints/callback.cpp calls
// them and does what is between.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/cookies.hpp"
#include "http/parameters.hpp"
#include "oauth/attempt.hpp"
#include "oauth/grant.hpp"
#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"
#include "oauth/provider_words.hpp"
#include "oauth/redactor.hpp"

namespace sidecar::oauth
{

// How a flow ended: `outcome` in the log and in metrics, and for the browser
// (docs/design/flow.md, "Callback").
enum class Outcome {
	connected,
	confirm,        // kept until oauth_flow_confirm()
	access_denied,  // oauth_error=access_denied
	expired,        // oauth_error=expired
	provider_error, // oauth_error=provider_error
	unavailable,    // oauth_error=unavailable
	no_attempt,     // a plain 400: there is no address to send the browser to
};
std::string_view name_of(Outcome outcome) noexcept;

// Consume the attempt with these hashes.
struct ClaimAttempt {
	common::Digest state_hash;
	common::Digest browser_hash;
	std::string provider; // the base name, as in the path: labels share an address
};
struct End {
	Outcome outcome = Outcome::unavailable;
	std::string_view reason; // a fixed text for the log; empty if all is well
	ProviderWords words;     // what the provider said, if it failed there
	// The address to which the browser goes. Empty: a page, 400 for no_attempt.
	std::string location;
};
// Whether an operator should look at it. Not if a user declined, or if anybody could have
// sent the request.
bool is_failure(Outcome outcome) noexcept;

// What the database said to a grant.
struct StoreResult {
	enum class Kind { connected, confirm, expired, unavailable } kind;
	common::Secret flow; // the one-time code of `confirm`
};

class CallbackFlow
{
public:
	struct Config {
		std::string_view public_url;
		// Origins allowed in return_to, checked again here.
		const std::vector<std::string> &return_to_origins;
		// The provider's present settings and endpoints.
		const Provider &provider;
		// Nothing if the provider's metadata cannot be read. It is then not known whether
		// an issuer is promised, and the flow ends as unavailable.
		std::optional<ProviderEndpoints> endpoints;
	};

	explicit CallbackFlow(Config config);

	ClaimAttempt start(std::string_view query, const http::FlowCookies &cookies);
	// The code for a token.
	ProviderRequest claimed(std::optional<ClaimedAttempt> attempt);
	Grant answered(const ProviderAnswer &answer, long long now);
	End stored(StoreResult result);
	// Something of ours failed. If no attempt is known yet, there is no location.
	End failed(std::string_view reason);

	// What start() gave.
	const std::optional<ClaimAttempt> &claim() const noexcept { return claim_; }
	// The state of the request, if any. Every answer clears its cookie.
	const std::string &state() const noexcept { return state_; }
	const std::optional<ClaimedAttempt> &attempt() const noexcept { return attempt_; }
	// An issuer that came but could not be compared with one, made fit for the log.
	const std::string &ignored_issuer() const noexcept { return ignored_issuer_; }

private:
	http::Parameters::Wanted wanted_parameters() const;
	void check_issuer();
	void check_received_issuer(std::string_view issuer);
	End refused_by_provider(std::string_view code);
	ProviderRequest code_for_token();
	void hide_secrets(Redactor &redactor) const;
	End end(Outcome outcome, std::string_view reason, ProviderWords words = {},
			std::string_view flow = {});

	Config config_;
	std::string state_;
	std::optional<http::Parameters> parameters_;
	std::optional<ClaimAttempt> claim_;
	std::optional<ClaimedAttempt> attempt_;
	common::Secret code_; // until the token endpoint has answered, which may echo it
	std::string ignored_issuer_;
	std::vector<std::string> asked_;
	Pairs callback_extra_;
	std::string callback_scope_;
};

} // namespace sidecar::oauth
