#include "oauth/refresh_failure.hpp"

#include "common/ascii.hpp"
#include "oauth/client_request.hpp"
#include "oauth/redactor.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <vector>

namespace sidecar::oauth
{

namespace
{

using enum FailureKind;

struct Rule {
	std::string_view match;
	FailureKind kind;
};

// The first rule that matches decides; failure_rule.hpp has the notation. A code that is not
// here is transient: an unknown code must neither end a grant nor stop all grants of a
// client. RFC 6749's invalid_request and invalid_scope are transient, too, because they may
// concern only this grant.
constexpr Rule kRules[] = {
	// The server is not well, whatever else the answer says.
	{"408", transient},
	{"425", transient},
	{"429", transient},
	{"5xx", transient},
	{"temporarily_unavailable", transient},
	{"server_error", transient},
	{"slow_down", transient},
	{"internal_failure", transient},    // Google
	{"rate_limit_exceeded", transient}, // Google
	{"ratelimited", transient},         // Slack
	{"request_timeout", transient},     // Slack
	{"service_unavailable", transient}, // Slack
	// Slack, of both: "some aspect of the operation" may have succeeded.
	{"internal_error", no_answer},
	{"fatal_error", no_answer},
	{"invalid_grant: login rate exceeded", transient}, // Salesforce
	{"*: error_codes=90033", transient},               // Entra: its directory is away
	{"*: error_codes=50196", transient},               // Entra: too many in a row
	{"*: error_codes=9002313", transient},             // Entra: a malformed request

	{"interaction_required", needs_interaction}, // OpenID Connect Core 3.1.2.6
	{"consent_required", needs_interaction},
	{"login_required", needs_interaction},
	{"account_selection_required", needs_interaction},
	{"access_denied", needs_interaction},
	{"mfa_required", needs_interaction},                 // Auth0
	{"invalid_grant: invalid_rapt", needs_interaction},  // Google: a policy wants a sign-in
	{"admin_policy_enforced", needs_interaction},        // Google
	{"org_internal", needs_interaction},                 // Google
	{"account_inactive", needs_interaction},             // Slack
	{"invalid_token", needs_interaction},                // RFC 6750's, of any token
	{"invalid_grant: ip restricted", needs_interaction}, // Salesforce
	{"invalid_grant: inactive user", needs_interaction},
	{"invalid_grant: inactive organization", needs_interaction},
	// Entra: learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes
	{"*: error_codes=50055", needs_interaction}, // the password has expired
	{"*: error_codes=50057", needs_interaction}, // the account is disabled
	{"*: error_codes=50072", needs_interaction}, // multi-factor authentication
	{"*: error_codes=50074", needs_interaction},
	{"*: error_codes=50076", needs_interaction},
	{"*: error_codes=50079", needs_interaction},
	{"*: error_codes=50105", needs_interaction}, // no role in the application
	{"*: error_codes=50158", needs_interaction}, // another provider's challenge
	{"*: error_codes=53000", needs_interaction}, // conditional access
	{"*: error_codes=53001", needs_interaction},
	{"*: error_codes=53002", needs_interaction},
	{"*: error_codes=53003", needs_interaction},
	{"*: error_codes=53004", needs_interaction},
	{"*: error_codes=65001", needs_interaction},   // consent is missing
	{"*: error_codes=65004", needs_interaction},   // consent was declined
	{"*: error_codes=700016", needs_interaction},  // this tenant does not have the application
	{"*: error_codes=7000112", needs_interaction}, // this tenant has disabled it
	// Two of Entra's suberrors say that the token is spent; all others need the user.
	{"invalid_grant: suberror=bad_token", dead_grant},
	{"invalid_grant: suberror=token_expired", dead_grant},
	{"invalid_grant: suberror", needs_interaction},

	{"invalid_grant", dead_grant},         // RFC 6749 section 5.2
	{"bad_refresh_token", dead_grant},     // GitHub, HubSpot
	{"invalid_refresh_token", dead_grant}, // Slack
	{"refresh_token_expired", dead_grant},
	{"token_expired", dead_grant},                                 // Slack
	{"token_revoked", dead_grant},                                 // Slack
	{"authorization_not_found", dead_grant},                       // Slack
	{"unauthorized_client: refresh_token is invalid", dead_grant}, // Atlassian

	{"invalid_client", client_config},
	{"unauthorized_client", client_config},
	{"unsupported_grant_type", client_config},
	{"incorrect_client_credentials", client_config}, // GitHub
	{"bad_client_secret", client_config},            // Slack
	{"invalid_client_id", client_config},            // Slack, Salesforce
	{"disabled_client", client_config},              // Google
	{"deleted_client", client_config},               // Google
	{"401: (no code)", client_config},               // RFC 6749 section 5.2
};

std::string lower(std::string_view text)
{
	std::string result(text);
	std::ranges::transform(result, result.begin(), common::to_lower);
	return result;
}

bool is_word_character(char c) noexcept
{
	return common::is_letter(c) || common::is_digit(c) || c == '_';
}

// Whether the words are in the text, and not parts of longer ones.
bool has_words(std::string_view text, std::string_view words) noexcept
{
	for (std::size_t at = text.find(words); at != text.npos; at = text.find(words, at + 1)) {
		const std::size_t end = at + words.size();
		const bool starts =
			at == 0 || !is_word_character(words.front()) || !is_word_character(text[at - 1]);
		const bool ends =
			end == text.size() || !is_word_character(words.back()) || !is_word_character(text[end]);
		if (starts && ends)
			return true;
	}
	return false;
}

// An answer in the form that rules compare, in lower case.
class Subject
{
public:
	explicit Subject(const ProviderAnswer &answer) : status_(std::to_string(answer.status))
	{
		const RawWords words = raw_words_of(answer);
		for (const RawWords::Code &code : words.codes) {
			if (code.value == status_)
				continue; // some repeat it
			codes_.push_back(lower(common::trim(code.value)));
			text_ += code.name;
			text_ += '=';
			text_ += codes_.back();
			text_ += ' ';
		}
		if (codes_.empty())
			text_ = "(no code) ";
		text_ += lower(words.description);
	}
	~Subject()
	{
		common::wipe(text_);
		for (std::string &code : codes_)
			common::wipe(code);
	}
	Subject(const Subject &) = delete;
	Subject &operator=(const Subject &) = delete;

	bool matches(std::string_view match) const
	{
		const std::size_t colon = match.find(": ");
		if (!is_of(lower(match.substr(0, colon))))
			return false;
		return colon == match.npos || has_words(text_, lower(match.substr(colon + 2)));
	}

private:
	bool is_of(std::string_view head) const
	{
		const bool is_class = head.size() == 3 && head.ends_with("xx");
		return head == "*" || head == status_ || (is_class && head[0] == status_[0]) ||
			   std::ranges::find(codes_, head) != codes_.end();
	}

	std::string status_;
	std::vector<std::string> codes_;
	std::string text_;
};

std::optional<FailureKind> kind_by_rules(const Provider &provider, const ProviderAnswer &answer)
{
	const Subject subject(answer);
	// Of a provider's own rules, those with words come first: they are more exact.
	for (const bool with_words : {true, false})
		for (const FailureRule &rule : provider.failures)
			if ((rule.match.find(": ") != rule.match.npos) == with_words &&
				subject.matches(rule.match))
				return rule.kind;
	for (const Rule &rule : kRules)
		if (subject.matches(rule.match))
			return rule.kind;
	return std::nullopt;
}

FailureKind kind_of(const RefreshCall &call, const ProviderAnswer &answer, const NoGrant &no_grant)
{
	using Failure = ProviderAnswer::Failure;
	if (answer.failure == Failure::busy || answer.failure == Failure::too_late)
		return not_sent;
	if (answer.failure != Failure::none)
		return answer.was_sent ? no_answer : transient;
	// The tokens are of another account, and would be again.
	if (no_grant.kind == NoGrant::Kind::other_account)
		return needs_interaction;
	const auto kind = kind_by_rules(call.provider, answer);
	// It says success, but cannot be read: the old refresh token may be spent.
	if (!kind && answer.status >= 200 && answer.status <= 299 &&
		no_grant.kind == NoGrant::Kind::invalid_answer)
		return no_answer;
	// RFC 6749 section 5.2 has one code for "dead" and "of another client".
	const std::string &client_id = call.stored.client_id;
	if (kind == dead_grant && !client_id.empty() && client_id != call.provider.client_id)
		return client_config;
	return kind.value_or(transient);
}

// Cuts at the start of a character.
void cut(std::string &text, std::size_t max)
{
	if (text.size() <= max)
		return;
	while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xc0) == 0x80)
		max--;
	text.resize(max);
}

} // namespace

std::string RefreshFailure::detail() const
{
	std::string text = words.code == std::to_string(words.status) ? "" : words.code;
	if (!words.description.empty())
		text += (text.empty() ? "" : ": ") + words.description;
	if (text.empty())
		text = reason;
	else if (words.code.empty() && words.status < 400)
		text = std::string(reason) + ": " + text; // these words alone would not say enough
	if (words.status != 0)
		text = "HTTP " + std::to_string(words.status) + ", " + text;
	cut(text, kMaxFailureDetailBytes);
	return text;
}

RefreshFailure refresh_failure(const RefreshCall &call, const ProviderAnswer &answer,
							   const NoGrant &no_grant)
{
	Redactor redactor;
	redactor.hide(call.provider.client_secret.reveal());
	redactor.hide(basic_credentials(call.provider).reveal());
	redactor.hide(call.refresh_token);
	const FailureKind kind = kind_of(call, answer, no_grant);
	return {kind, no_grant.reason, words_of(answer, redactor),
			read_retry_after(answer.retry_after, call.now)};
}

std::optional<std::chrono::seconds> read_retry_after(std::string_view value, long long now)
{
	const std::string text(common::trim(value));
	long long seconds = 0;
	const char *end = text.data() + text.size();
	const auto read = std::from_chars(text.data(), end, seconds);
	if (text.empty() || text.size() > 40)
		return std::nullopt;
	if (read.ec == std::errc::result_out_of_range && std::ranges::all_of(text, common::is_digit))
		return kMaxRetryAfter;
	if (read.ec != std::errc() || read.ptr != end) {
		// Its three forms: IMF-fixdate, RFC 850's, asctime's (RFC 9110 section 5.6.7).
		std::optional<std::time_t> time;
		for (const char *form :
			 {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"}) {
			std::tm date{};
			const char *rest = strptime(text.c_str(), form, &date);
			if (!time && rest != nullptr && *rest == '\0')
				time = timegm(&date);
		}
		if (!time)
			return std::nullopt;
		seconds = static_cast<long long>(*time) - now;
	}
	if (seconds <= 0)
		return std::nullopt;
	return std::min(std::chrono::seconds(seconds), kMaxRetryAfter);
}

} // namespace sidecar::oauth
