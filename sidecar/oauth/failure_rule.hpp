// What a failed refresh means for the grant (docs/design/refresh.md, "Kinds of failure"), and
// how a rule says which answers mean that.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sidecar::oauth
{

enum class FailureKind {
	transient,         // nothing has changed: try again later
	no_answer,         // it was sent, and nobody knows whether the provider refreshed
	dead_grant,        // the refresh token is no longer accepted
	needs_interaction, // the grant exists, but needs its user
	client_config,     // the client is refused, and with it each of its grants
	not_sent,          // nothing was sent, for a reason of our own
};
// As oauth_refresh_fail() takes it: "dead_grant".
std::string_view name_of(FailureKind kind) noexcept;
// The kind of a rule: only those that a provider's answer can have.
std::optional<FailureKind> failure_kind_of(std::string_view name) noexcept;

// `match` is HEAD or "HEAD: WORDS". The head is a code of the answer, a status of
// HTTP (403), a class of them (5xx), or * for all. The words must be in the
// answer: in its codes, in its description, or as name=value of one of its members
// (suberror=basic_action). "(no code)" matches an answer without a code. Case is ignored.
struct FailureRule {
	std::string match;
	FailureKind kind;
};

// Whether `match` has this form.
bool is_failure_match(std::string_view match) noexcept;

} // namespace sidecar::oauth
