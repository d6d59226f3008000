// The callback, step by step and without I/O (docs/design/flow.md, "Callback"): the caller
// does what an action says and tells what came of it.
//
//   CallbackFlow flow(config);
//   Action action = flow.start(query, cookies); // ClaimAttempt, or End if the request is none
//   action = flow.claimed(attempt);    // Exchange, or End
//   action = flow.answered(answer);    // StoreGrant, or End
//   action = flow.stored(outcome);     // End
//
// The order is the promise: nothing is claimed for a request that is malformed,
// and no code goes out before browser, issuer and error have been looked at.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
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

// What a flow came to: `outcome` in the log and in metrics, and what the browser
// is told (docs/design/flow.md, "Callback").
enum class Outcome {
	connected,
	confirm,        // kept until oauth_flow_confirm()
	access_denied,  // oauth_error=access_denied
	expired,        // oauth_error=expired
	provider_error, // oauth_error=provider_error
	unavailable,    // oauth_error=unavailable
	no_attempt,     // a plain 400: nothing is known of whom to send where
};
std::string_view name_of(Outcome outcome) noexcept;

// Consume the attempt with these hashes.
struct ClaimAttempt {
	Digest state_hash;
	Digest browser_hash;
	std::string provider; // the base name, as in the path: labels share an address
};
struct Exchange {
	ProviderRequest request;
};
struct StoreGrant {
	Digest ticket_hash;
	Grant grant;
};
struct End {
	Outcome outcome;
	std::string_view reason; // a fixed text for the log; empty if all is well
	ProviderWords words;     // what the provider said, where it was the provider
	// Where to send the browser; empty: a page, 400 for no_attempt.
	std::string location;
};
// Whether somebody who operates the daemon should look: what a user declines, and
// what anybody may send, is no such thing.
bool is_failure(Outcome outcome) noexcept;

using Action = std::variant<ClaimAttempt, Exchange, StoreGrant, End>;

// What the database said to StoreGrant.
struct StoreResult {
	enum class Kind { connected, confirm, expired, unavailable } kind;
	Secret flow; // the one-time code of `confirm`
};

class CallbackFlow
{
public:
	struct Config {
		std::string_view public_url;
		// Origins allowed in return_to, checked again here.
		const std::vector<std::string> &return_to_origins;
		// For how providers are known now, and where they are.
		const Provider &provider;
		// Nothing if the provider's metadata cannot be read: promised issuers
		// are not known then, and the flow ends as unavailable.
		std::optional<ProviderEndpoints> endpoints;
	};

	explicit CallbackFlow(Config config);

	Action start(std::string_view query, const http::FlowCookies &cookies);
	Action claimed(std::optional<ClaimedAttempt> attempt);
	Action answered(const ProviderAnswer &answer, long long now);
	Action stored(StoreResult result);
	// Where something of ours failed: database or time-out. Where no attempt is
	// known yet, there is no location. A step out of order ends like this, too.
	Action failed(std::string_view reason);

	// Cleared in every answer: the state that came, if any.
	const std::string &state() const noexcept { return state_; }
	const std::optional<ClaimedAttempt> &attempt() const noexcept { return attempt_; }
	// The issuer that came where none is known to compare it with, fit for the log.
	const std::string &ignored_issuer() const noexcept { return ignored_issuer_; }

private:
	// What the caller is to tell next.
	enum class Step { start, claim, exchange, store, end };

	http::Parameters::Wanted wanted_parameters() const;
	std::optional<End> check_issuer();
	std::optional<End> check_received_issuer(std::string_view issuer);
	End refused_by_provider(std::string_view code);
	Exchange exchange();
	void hide_secrets(Redactor &redactor) const;
	End end(Outcome outcome, std::string_view reason, ProviderWords words = {},
			std::string_view flow = {});

	Config config_;
	Step step_ = Step::start;
	std::string state_;
	std::optional<http::Parameters> parameters_;
	std::optional<ClaimedAttempt> attempt_;
	Secret code_; // until the token endpoint has answered, which may echo it
	std::string ignored_issuer_;
	std::vector<std::string> asked_;
	Pairs callback_extra_;
	std::string callback_scope_;
};

} // namespace sidecar::oauth
