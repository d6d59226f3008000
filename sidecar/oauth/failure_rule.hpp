// What a refresh that failed means for the grant (docs/design/refresh.md, "Kinds of failure"),
// and how a rule says which answers mean that.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sidecar::oauth
{

enum class FailureKind {
	transient,         // nothing has changed: try again later
	no_answer,         // it was sent, and whether it was done is not known
	dead_grant,        // the refresh token is not good any more
	needs_interaction, // the grant is there, and wants its user
	client_config,     // the client, and with it every grant of it
	not_sent,          // nothing left this host, for a reason of its own
};
// As oauth_refresh_fail() takes it: "dead_grant".
std::string_view name_of(FailureKind kind) noexcept;
// As rules name it: of what a provider may answer.
std::optional<FailureKind> failure_kind_of(std::string_view name) noexcept;

// `match` is HEAD or "HEAD: WORDS". The head is a code as the answer has it, a status
// of HTTP (403), a class of them (5xx), or * for all. The words must be in the
// answer: in its codes, in its description, or as name=value of one of its members
// (suberror=basic_action); "(no code)" is there where it has none. Case means nothing.
struct FailureRule {
	std::string match;
	FailureKind kind;
};

// Whether `match` is written like that.
bool is_failure_match(std::string_view match) noexcept;

} // namespace sidecar::oauth
