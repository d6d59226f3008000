#include "oauth/token_answer.hpp"

#include "common/ascii.hpp"
#include "http/parameters.hpp"
#include "oauth/answer_members.hpp"
#include "oauth/error_reason.hpp"
#include "oauth/expiry.hpp"
#include "oauth/grant_details.hpp"
#include "oauth/json.hpp"
#include "oauth/scopes.hpp"

#include <algorithm>

namespace sidecar::oauth
{

namespace
{

namespace json = boost::json;
using Kind = NoGrant::Kind;

constexpr std::size_t kMaxBodyBytes = 1024 * 1024; // two tokens, an ID token and room
constexpr std::size_t kMaxScopeBytes = 16 * 1024;
constexpr std::size_t kMostDoubled = 5; // are named in warnings

constexpr NoGrant kMalformed = {Kind::invalid_answer,
								"the token answer is neither a JSON object nor a form"};
constexpr NoGrant kEmpty = {Kind::invalid_answer, "the token answer is empty"};
constexpr NoGrant kAmbiguous = {Kind::invalid_answer,
								"a member of the token answer that decides comes twice"};

// Members that decide, at any depth. If one comes twice, nobody knows which counts.
constexpr std::string_view kDecisive[] = {
	"access_token", "accessToken", "refresh_token", "refreshToken", "id_token",
	"idToken",      "token_type",  "tokenType",     "error",        "ok"};

// A text that begins with a brace is no form, whatever its type says.
bool is_form(std::string_view content_type, std::string_view text) noexcept
{
	return !text.starts_with('{') &&
		   (content_type == "application/x-www-form-urlencoded" || content_type == "text/plain");
}

std::optional<LooseJson> parse_form(std::string_view text)
{
	const http::Parameters parameters = http::Parameters::parse(text, kMaxTokenBytes);
	if (parameters.fault() != http::Parameters::Fault::none)
		return std::nullopt;
	json::value form(json::object_kind, wiped_memory());
	for (const auto &[name, value] : parameters.all())
		form.get_object()[name] = value;
	return LooseJson{std::move(form), {}};
}

// The answer's members, from JSON or a form.
std::optional<LooseJson> parse_body(const ProviderAnswer &answer)
{
	if (answer.body.size() > kMaxBodyBytes)
		return std::nullopt;
	const std::string_view text = common::trim(without_bom(answer.body.reveal()));
	if (is_form(answer.content_type, text))
		return parse_form(text);
	auto parsed = parse_loose_json(text, kMaxJsonDepth);
	if (parsed && !parsed->value.is_object())
		parsed.reset();
	return parsed;
}

bool is_ambiguous(const LooseJson &body, const Provider &provider)
{
	const auto decides = [&](const std::string &name) {
		const auto is_in = [&](const std::string &path) {
			return !path.empty() && ("." + path + ".").find("." + name + ".") != std::string::npos;
		};
		return std::ranges::find(kDecisive, name) != std::end(kDecisive) ||
			   is_in(provider.access_token_path) || is_in(provider.refresh_token_path);
	};
	return std::ranges::any_of(body.doubled, decides);
}

// Some providers write "" or false for none.
bool is_nothing(const json::value &value)
{
	return value == json::value(false) || (value.is_string() && value.get_string().empty());
}

// null, false, 0, and an empty text, list or object mean that there is no error.
bool is_no_error(const json::value &error)
{
	if (const json::object *object = error.if_object())
		return object->empty();
	if (const json::array *array = error.if_array())
		return array->empty();
	return error.is_null() || is_nothing(error) ||
		   (error.is_number() && error.to_number<double>() == 0);
}

// RFC 6749 section 5.2, and providers that answer 200 with an error: GitHub with a text,
// Slack with "ok": false, others with an object.
std::optional<NoGrant> find_error(const json::value &answer)
{
	const json::value *error = find_path(answer, "error");
	const json::value *ok = find_path(answer, "ok");
	if ((error == nullptr || is_no_error(*error)) && (ok == nullptr || *ok != json::value(false)))
		return std::nullopt;
	return NoGrant{Kind::refused, error_reason(find_string(answer, "error").value_or(""))};
}

std::string_view reason_of(ProviderAnswer::Failure failure) noexcept
{
	using Failure = ProviderAnswer::Failure;
	switch (failure) {
	case Failure::busy:
		return "too many calls to the token endpoint are under way";
	case Failure::too_late:
		return "the lease is nearly over";
	case Failure::resolve:
		return "the token endpoint's name does not resolve";
	case Failure::connect:
		return "the token endpoint cannot be connected to";
	case Failure::tls:
		return "the token endpoint's certificate or TLS is not accepted";
	case Failure::timeout:
		return "the token endpoint did not answer in time";
	default:
		return "the token endpoint's answer broke off";
	}
}

// Checks the answer without reading it. Nothing if it may contain a grant.
std::optional<NoGrant> classify_status(const ProviderAnswer &answer)
{
	// An answer came, and would be as large again.
	if (answer.failure == ProviderAnswer::Failure::too_large)
		return NoGrant{Kind::invalid_answer, "the token endpoint's answer is too large"};
	if (answer.failure != ProviderAnswer::Failure::none)
		return NoGrant{Kind::unavailable, reason_of(answer.failure)};
	const int status = answer.status;
	if (status == 408 || status == 425 || status == 429 || (status >= 500 && status <= 599))
		return NoGrant{Kind::unavailable, "the token endpoint is not available"};
	if (status >= 400 && status <= 499) {
		const auto body = parse_body(answer);
		const auto error = body ? find_error(body->value) : std::nullopt;
		return error.value_or(NoGrant{Kind::refused, "the token endpoint refused without a code"});
	}
	// A proxy may answer 203, and some provider may choose 202: it counts if there is a grant.
	if (status < 200 || status > 299)
		return NoGrant{Kind::invalid_answer,
					   "the token endpoint's status is none of a token answer"};
	return std::nullopt;
}

bool is_token(std::string_view text) noexcept
{
	return !text.empty() && text.size() <= kMaxTokenBytes &&
		   std::ranges::all_of(text, common::is_printable);
}

// To use such a token, a client must also prove that it has a key (RFC 9449, RFC 9201). Sent
// as a bearer token it is useless, or gives it away.
bool is_bound_type(std::string_view type, const std::vector<std::string> &allowed)
{
	constexpr std::string_view kBound[] = {"dpop", "mac", "n_a", "pop"};
	const auto is_type = [&](std::string_view bound) {
		return common::equal_ignoring_case(common::trim(type), bound);
	};
	return std::ranges::any_of(kBound, is_type) && std::ranges::none_of(allowed, is_type);
}

bool names_bound_type(const json::value &value, const std::vector<std::string> &allowed)
{
	if (const json::string *type = value.if_string())
		return is_bound_type(*type, allowed);
	const json::array *array = value.if_array();
	return array != nullptr && std::ranges::any_of(*array, [&](const json::value &one) {
			   return names_bound_type(one, allowed);
		   });
}

// Whether a warning may show it: it is no token, and no text for people.
bool is_name(std::string_view name)
{
	return !name.empty() && name.size() <= 40 && std::ranges::all_of(name, [](char c) {
		return c == '_' || c == '-' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	});
}

// Scopes as text; those of an array are joined with spaces. False if it is something else.
bool append_scopes(std::string &text, const json::value &value)
{
	if (const json::string *scopes = value.if_string())
		text.append(text.empty() ? "" : " ").append(*scopes);
	else if (const json::array *array = value.if_array())
		return std::ranges::all_of(*array, [&](const json::value &scope) {
			return scope.is_string() && append_scopes(text, scope);
		});
	else
		return false;
	return true;
}

bool are_storable(std::string_view text)
{
	return text.size() <= kMaxScopeBytes && std::ranges::all_of(text, [](char c) {
			   return common::is_visible(c) || common::is_white_space(c);
		   });
}

// 0, as a number or a text.
bool is_never(const json::value &lifetime)
{
	if (const json::string *text = lifetime.if_string())
		return common::trim(*text) == "0";
	return lifetime.is_number() && lifetime.to_number<double>() == 0;
}

std::string_view name_of(const AnswerMembers::LookAlike &other) noexcept
{
	return other.path.empty() ? "a member" : std::string_view(other.path);
}

// Reads a grant from an answer, field by field. Fields that protect are read strictly. Fields
// that are advice are used if they can be understood, and otherwise cause a warning
// (docs/design/flow.md, "Providers").
class Reader
{
public:
	Reader(const Expected &expected, const json::value &answer)
		: expected_(expected), provider_(expected.provider), answer_(answer),
		  members_(expected.provider, answer)
	{
	}

	std::variant<Grant, NoGrant> read(const std::set<std::string> &doubled)
	{
		for (const std::string &name : doubled)
			if (is_name(name) && grant_.warnings.size() < kMostDoubled)
				warn(name, "comes twice; the last one counts");
		if (!read_tokens() || !check_type())
			return NoGrant{Kind::invalid_answer, fault_};
		if (is_refresh() ? !check_same_identity() : !check_identity())
			return NoGrant{is_refresh() ? Kind::other_account : Kind::invalid_answer, fault_};
		read_expiry();
		read_refresh_expiry();
		read_scopes();
		grant_.details = write_details(
			{provider_, expected_.client_id, answer_, claims_, expected_.callback_extra,
			 grant_.expires_in, grant_.refresh_expires_in, every_token(), expected_.stored});
		return std::move(grant_);
	}

private:
	bool is_refresh() const noexcept { return expected_.stored != nullptr; }

	bool fail(std::string_view fault) noexcept
	{
		fault_ = fault;
		return false;
	}

	void warn(std::string_view name, std::string_view text)
	{
		grant_.warnings.push_back(std::string(name).append(" ").append(text));
	}

	bool read_tokens()
	{
		const json::value *access = members_.access_token();
		if (access == nullptr || !access->is_string())
			return fail("the token answer has no access token");
		if (!is_token(access->get_string()))
			return fail("the access token is empty, too long or not printable");
		grant_.access_token = common::Secret(access->get_string());

		const Member refresh =
			members_.at(provider_.refresh_token_path, {"refresh_token", "refreshToken"});
		if (refresh && !is_nothing(*refresh.value)) {
			if (!refresh.value->is_string() || !is_token(refresh.value->get_string()))
				return fail("the refresh token is no text, too long or not printable");
			grant_.refresh_token = common::Secret(refresh.value->get_string());
		}
		warn_of_refresh_tokens();
		return true;
	}

	void warn_of_refresh_tokens()
	{
		for (const AnswerMembers::LookAlike &other : members_.refresh_tokens()) {
			const std::string_view text = other.value->get_string();
			if (text == grant_.access_token.reveal() ||
				(grant_.refresh_token && text == grant_.refresh_token->reveal()))
				continue;
			warn(name_of(other),
				 "looks like a refresh token and was not taken; if it belongs to this grant, name "
				 "it in refresh_token_path");
			others_.push_back(text);
		}
	}

	// Beside the access token, or in the whole answer.
	bool check_type()
	{
		for (const json::value *type :
			 {members_.beside({"token_type", "tokenType"}).value, find_path(answer_, "token_type")})
			if (type != nullptr && names_bound_type(*type, provider_.allow_token_types))
				return fail("the token's type needs a proof of possession, which we do not give");
		return true;
	}

	void read_expiry()
	{
		if (!provider_.expires_path.empty())
			take_expiry(members_.at(provider_.expires_path, {}), provider_.expires_format);
		else
			find_expiry();
		if (!grant_.expires_in)
			for (const AnswerMembers::LookAlike &other : members_.expiries())
				if (std::ranges::find(tried_, other.value) == tried_.end())
					warn(name_of(other),
						 "looks like an expiry and was not taken; if it is this token's, name it "
						 "in expires_path");
		if (!grant_.expires_in)
			grant_.expires_in = provider_.default_expires_in;
	}

	void find_expiry()
	{
		for (const std::string_view name : {"expires_in", "expiresIn"})
			if (take_expiry(members_.beside({name}), ExpiryFormat::seconds))
				return;
		for (const std::string_view name :
			 {"expires_at", "expiresAt", "expires_on", "expiresOn", "expires"})
			if (take_expiry(members_.beside({name}), ExpiryFormat::automatic))
				return;
	}

	bool take_expiry(const Member &member, ExpiryFormat format)
	{
		if (!member)
			return false;
		tried_.push_back(member.value);
		grant_.expires_in =
			seconds_of(member, format,
					   provider_.default_expires_in ? "; default_expires_in is taken instead"
													: "; when the token expires is not known");
		return grant_.expires_in.has_value();
	}

	// Seconds from now. If there are none: nothing, and a warning that ends with `otherwise`. A
	// lifetime that must be a unix time is read as one, unless the settings name its format.
	std::optional<int> seconds_of(const Member &member, ExpiryFormat format,
								  std::string_view otherwise)
	{
		if (format == ExpiryFormat::seconds && provider_.expires_path != member.name &&
			looks_like_unix_time(*member.value, expected_.now)) {
			warn(member.name, "is taken for a unix time: as seconds it would be 56 years or more");
			format = ExpiryFormat::unix_seconds;
		}
		const auto read = oauth::read_expiry(*member.value, format, expected_.now);
		if (const int *seconds = std::get_if<int>(&read))
			return *seconds;
		warn(member.name, std::string(std::get<std::string_view>(read)).append(otherwise));
		return std::nullopt;
	}

	// When the grant ends: Google, GitHub and LinkedIn, TikTok and Keycloak, QuickBooks;
	// Square. 0 is Keycloak's "never".
	void read_refresh_expiry()
	{
		constexpr std::pair<std::string_view, ExpiryFormat> kNames[] = {
			{"refresh_token_expires_in", ExpiryFormat::seconds},
			{"refreshTokenExpiresIn", ExpiryFormat::seconds},
			{"refresh_expires_in", ExpiryFormat::seconds},
			{"refreshExpiresIn", ExpiryFormat::seconds},
			{"x_refresh_token_expires_in", ExpiryFormat::seconds},
			{"refresh_token_expires_at", ExpiryFormat::automatic},
			{"refreshTokenExpiresAt", ExpiryFormat::automatic},
			{"refresh_expires_at", ExpiryFormat::automatic}};
		for (const auto &[name, format] : kNames) {
			const Member member = members_.beside({name});
			if (!member || is_never(*member.value))
				continue;
			grant_.refresh_expires_in =
				seconds_of(member, format, "; when the grant ends is not known");
			if (grant_.refresh_expires_in)
				return;
		}
		if (grant_.refresh_token)
			grant_.refresh_expires_in = provider_.default_refresh_expires_in;
	}

	// The scopes in the answer, or else in the callback, or else those that were asked for (RFC
	// 6749 section 5.1).
	void read_scopes()
	{
		const Member member = find_scopes();
		std::string text;
		const bool known = member && append_scopes(text, *member.value) && are_storable(text);
		if (member && !known)
			warn(member.name, "is malformed; the granted scopes are not known");
		if (known && !common::trim(text).empty())
			store_scopes(text);
		else if (!common::trim(expected_.callback_scope).empty())
			read_callback_scope();
		else if (!member)
			assume_scopes();
		else if (known && !is_refresh())
			grant_.scopes = "";
	}

	// If there are two, the one that is not empty.
	Member find_scopes() const
	{
		if (!provider_.scope_path.empty())
			return members_.at(provider_.scope_path, {});
		Member found;
		for (const std::string_view name : {"scope", "scopes", "granted_scopes", "grantedScopes"})
			if (const Member member = members_.beside({name}))
				if (!found || is_nothing(*found.value))
					found = member;
		return found;
	}

	void store_scopes(std::string_view text)
	{
		grant_.scopes =
			join_scopes(granted_scopes(text, provider_.scope_separator, expected_.asked), " ");
	}

	void read_callback_scope()
	{
		if (are_storable(expected_.callback_scope))
			store_scopes(expected_.callback_scope);
		else
			warn("the callback's scope", "is malformed; the granted scopes are not known");
	}

	void assume_scopes()
	{
		for (const AnswerMembers::LookAlike &other : members_.scopes())
			warn(name_of(other), "looks like the granted scopes and was not taken; if it is, name "
								 "it in scope_path");
		if (!is_refresh() && !expected_.asked.empty())
			grant_.scopes = join_scopes(expected_.asked, " ");
	}

	// An ID token is believed only if one was asked for. It is then required, unless it is
	// optional.
	bool check_identity()
	{
		const bool asked = std::ranges::find(expected_.asked, "openid") != expected_.asked.end();
		if (!asked)
			return true;
		const Member token = members_.beside({"id_token", "idToken"});
		const bool came = token && !is_nothing(*token.value);
		if (expected_.issuer.empty() && !provider_.issuer_per_tenant) {
			if (!provider_.id_token_optional)
				return fail("openid was asked for, and no issuer is configured");
			if (came)
				warn(token.name, "was not checked, because no issuer is configured");
			return true;
		}
		if (!came)
			return provider_.id_token_optional || fail("the token answer has no ID token");
		return read_claims(*token.value,
						   {expected_.issuer, provider_.issuer_per_tenant, expected_.client_id,
							expected_.nonce, expected_.now, provider_.id_token_allow});
	}

	// In a refresh it may be missing. If no ID token was believed before, there is nothing to
	// compare it with.
	bool check_same_identity()
	{
		const StoredGrant &stored = *expected_.stored;
		const Member token = members_.beside({"id_token", "idToken"});
		if (stored.issuer.empty() || !token || is_nothing(*token.value))
			return true;
		IdTokenExpected expected = {
			stored.issuer, false, expected_.client_id, {}, expected_.now, provider_.id_token_allow};
		expected.is_refresh = true;
		expected.subject = stored.account_id;
		if (!read_claims(*token.value, expected))
			return false;
		if (!claims_->is_current)
			warn(token.name, "is out of date; of a refresh, only its account counts");
		return true;
	}

	bool read_claims(const json::value &token, const IdTokenExpected &expected)
	{
		if (!token.is_string())
			return fail("the ID token is malformed");
		auto checked = check_id_token(token.get_string(), expected);
		if (const auto *fault = std::get_if<std::string_view>(&checked))
			return fail(*fault);
		claims_ = std::move(std::get<IdTokenClaims>(checked));
		return true;
	}

	// Secrets that the details must not contain.
	std::vector<std::string_view> every_token() const
	{
		std::vector<std::string_view> tokens = others_;
		tokens.push_back(grant_.access_token.reveal());
		if (grant_.refresh_token)
			tokens.push_back(grant_.refresh_token->reveal());
		for (const std::string_view name : {"id_token", "idToken"})
			if (const Member token = members_.beside({name}); token && token.value->is_string())
				tokens.push_back(token.value->get_string());
		return tokens;
	}

	const Expected &expected_;
	const Provider &provider_;
	const json::value &answer_;
	const AnswerMembers members_;
	std::string_view fault_;
	std::vector<const json::value *> tried_; // for an expiry
	std::vector<std::string_view> others_;   // possible refresh tokens of other grants
	std::optional<IdTokenClaims> claims_;
	Grant grant_;
};

} // namespace

std::variant<Grant, NoGrant> read_token_answer(const Expected &expected,
											   const ProviderAnswer &answer)
{
	if (const auto no_grant = classify_status(answer))
		return *no_grant;
	const auto body = parse_body(answer);
	if (!body)
		return common::trim(answer.body.reveal()).empty() ? kEmpty : kMalformed;
	if (is_ambiguous(*body, expected.provider))
		return kAmbiguous;
	if (const auto no_grant = find_error(body->value))
		return *no_grant;
	return Reader(expected, body->value).read(body->doubled);
}

std::variant<Grant, NoGrant> read_refresh_answer(const Provider &provider,
												 const StoredGrant &stored,
												 const ProviderAnswer &answer, long long now)
{
	const std::vector<std::string> granted =
		stored.scopes ? split_scopes(*stored.scopes, {}) : std::vector<std::string>();
	const std::string &client_id = stored.client_id.empty() ? provider.client_id : stored.client_id;
	const Pairs of_no_callback;
	return read_token_answer(
		{provider, stored.issuer, client_id, {}, granted, of_no_callback, now, {}, &stored},
		answer);
}

} // namespace sidecar::oauth
