#include "oauth/token_answer.hpp"

#include "http/characters.hpp"
#include "http/parameters.hpp"
#include "oauth/error_reason.hpp"
#include "oauth/grant_details.hpp"
#include "oauth/json.hpp"
#include "oauth/scopes.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace sidecar::oauth
{

namespace
{

namespace json = boost::json;
using Kind = NoGrant::Kind;

constexpr std::size_t kMaxBodyBytes = 1024 * 1024; // two tokens, an ID token and room
constexpr std::size_t kMaxScopeBytes = 16 * 1024;

constexpr NoGrant kMalformed = {Kind::invalid_answer,
								"the token answer is neither a JSON object nor a form"};

bool is_form(const ProviderAnswer &answer) noexcept
{
	if (answer.content_type == "application/x-www-form-urlencoded")
		return true;
	return answer.content_type == "text/plain" &&
		   !http::trim(answer.body.reveal()).starts_with('{');
}

std::optional<json::value> parse_form(std::string_view text)
{
	const http::Parameters parameters = http::Parameters::parse(http::trim(text), kMaxTokenBytes);
	if (parameters.fault() != http::Parameters::Fault::none)
		return std::nullopt;
	json::value form(json::object_kind, wiped_memory());
	for (const auto &[name, value] : parameters.all())
		form.get_object()[name] = value;
	return form;
}

// The answer's members, whichever way they are written.
std::optional<json::value> parse_body(const ProviderAnswer &answer)
{
	if (answer.body.size() > kMaxBodyBytes)
		return std::nullopt;
	if (is_form(answer))
		return parse_form(answer.body.reveal());
	auto value = parse_json(answer.body.reveal(), kMaxJsonDepth);
	if (value && !value->is_object())
		value.reset();
	return value;
}

// RFC 6749 section 5.2, and those who answer 200 with an error in it: GitHub with
// a text, Slack with "ok": false, others with an object. Only null, false and an
// empty object are no error.
std::optional<NoGrant> find_error(const json::value &answer)
{
	const json::value *error = find_path(answer, "error");
	const json::value *ok = find_path(answer, "ok");
	const bool says_error = error != nullptr && !error->is_null() && *error != json::value(false) &&
							!(error->is_object() && error->get_object().empty());
	if (!says_error && (ok == nullptr || *ok != json::value(false)))
		return std::nullopt;
	return NoGrant{Kind::refused, error_reason(find_string(answer, "error").value_or(""))};
}

std::string_view reason_of(ProviderAnswer::Failure failure) noexcept
{
	using Failure = ProviderAnswer::Failure;
	switch (failure) {
	case Failure::busy:
		return "too many calls to the token endpoint are under way";
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

// What the answer is before anybody reads it; nothing where it may hold a grant.
std::optional<NoGrant> judge_status(const ProviderAnswer &answer)
{
	// It came, and would come again.
	if (answer.failure == ProviderAnswer::Failure::too_large)
		return NoGrant{Kind::invalid_answer, "the token endpoint's answer is too large"};
	if (answer.failure != ProviderAnswer::Failure::none)
		return NoGrant{Kind::unavailable, reason_of(answer.failure)};
	const int status = answer.status;
	if (status == 408 || status == 425 || status == 429 || (status >= 500 && status <= 599))
		return NoGrant{Kind::unavailable, "the token endpoint is not available"};
	if (status >= 400 && status <= 499) {
		const auto body = parse_body(answer);
		const auto error = body ? find_error(*body) : std::nullopt;
		return error.value_or(NoGrant{Kind::refused, "the token endpoint refused without a code"});
	}
	if (status != 200 && status != 201)
		return NoGrant{Kind::invalid_answer,
					   "the token endpoint's status is none of a token answer"};
	return std::nullopt;
}

bool is_token(std::string_view text) noexcept
{
	return !text.empty() && text.size() <= kMaxTokenBytes &&
		   std::ranges::all_of(text, http::is_printable);
}

// Seconds, as a number or as text; NaN where it is neither.
double read_seconds(const json::value &value)
{
	if (value.is_number())
		return value.to_number<double>();
	double seconds = std::numeric_limits<double>::quiet_NaN();
	if (const json::string *text = value.if_string()) {
		const char *end = text->data() + text->size();
		const auto read = std::from_chars(text->data(), end, seconds);
		if (read.ec != std::errc() || read.ptr != end)
			return std::numeric_limits<double>::quiet_NaN();
	}
	return seconds;
}

// Takes a grant out of an answer, member by member.
class Reader
{
public:
	Reader(const Expected &expected, const json::value &answer)
		: expected_(expected), provider_(expected.provider), answer_(answer)
	{
		const std::string_view path = provider_.access_token_path;
		const std::size_t dot = path.rfind('.');
		token_name_ = path.empty() ? "access_token" : path.substr(dot + 1);
		members_ = find_path(answer, dot == path.npos ? "" : path.substr(0, dot));
	}

	std::variant<Grant, NoGrant> read()
	{
		if (!read_tokens() || !check_type() || !read_expiry() || !read_scopes() ||
			!check_identity())
			return NoGrant{Kind::invalid_answer, fault_};
		std::vector<std::string_view> tokens = {grant_.access_token.reveal()};
		if (grant_.refresh_token)
			tokens.push_back(grant_.refresh_token->reveal());
		if (const auto id_token = find_string(*members_, "id_token"))
			tokens.push_back(*id_token);
		grant_.details = write_details({provider_, expected_.client_id, answer_, claims_,
										expected_.callback_extra, grant_.expires_in, tokens});
		return std::move(grant_);
	}

private:
	bool fail(std::string_view fault) noexcept
	{
		fault_ = fault;
		return false;
	}

	// A member beside the access token: what stands elsewhere belongs to another
	// grant (Slack answers a bot's token and a user's at once).
	const json::value *member(std::string_view name) const
	{
		const json::object *object = members_->if_object();
		const json::value *found = object ? object->if_contains(name) : nullptr;
		return found != nullptr && found->is_null() ? nullptr : found;
	}

	bool read_tokens()
	{
		const json::value *access = members_ ? member(token_name_) : nullptr;
		if (access == nullptr || !access->is_string())
			return fail("the token answer has no access token");
		if (!is_token(access->get_string()))
			return fail("the access token is empty, too long or not printable");
		grant_.access_token = Secret(access->get_string());

		const json::value *refresh = member("refresh_token");
		if (refresh == nullptr || (refresh->is_string() && refresh->get_string().empty()))
			return true;
		if (!refresh->is_string() || !is_token(refresh->get_string()))
			return fail("the refresh token is too long or not printable");
		grant_.refresh_token = Secret(refresh->get_string());
		return true;
	}

	bool check_type()
	{
		const json::value *type = find_path(*members_, "token_type");
		if (type == nullptr || !provider_.access_token_path.empty())
			return true;
		if (!type->is_string() || !http::equal_ignoring_case(type->get_string(), "bearer"))
			return fail("the token's type is not bearer");
		return true;
	}

	bool read_expiry()
	{
		grant_.expires_in = provider_.default_expires_in;
		const json::value *value = member("expires_in");
		if (value == nullptr)
			return true;
		const double seconds = std::floor(read_seconds(*value));
		// Written so that NaN fails.
		if (!(seconds >= 1 && seconds <= kMaxLifetimeSeconds &&
			  seconds <= std::numeric_limits<int>::max()))
			return fail("expires_in is no possible number of seconds");
		grant_.expires_in = static_cast<int>(seconds);
		return true;
	}

	bool read_scopes()
	{
		const json::value *value = member("scope");
		if (value == nullptr) {
			if (!expected_.asked.empty())
				grant_.scopes = join_scopes(expected_.asked, " ");
			return true;
		}
		std::string text;
		if (!append_scopes(text, *value) || text.size() > kMaxScopeBytes ||
			!std::ranges::all_of(text, http::is_printable))
			return fail("the token answer's scope is malformed");
		grant_.scopes = join_scopes(split_scopes(text, provider_.scope_separator), " ");
		return true;
	}

	static bool append_scopes(std::string &text, const json::value &value)
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

	// An ID token is believed only where one was asked for, and then must be there.
	bool check_identity()
	{
		const bool asked = std::ranges::find(expected_.asked, "openid") != expected_.asked.end();
		const bool known = !expected_.issuer.empty() || provider_.issuer_per_tenant;
		if (!asked || (!known && provider_.id_token_optional))
			return true;
		if (!known)
			return fail("openid was asked for, and no issuer is configured");
		const json::value *token = member("id_token");
		if (token == nullptr)
			return provider_.id_token_optional || fail("the token answer has no ID token");
		if (!token->is_string())
			return fail("the ID token is malformed");
		const IdTokenExpected expected = {expected_.issuer, provider_.issuer_per_tenant,
										  expected_.client_id, expected_.nonce, expected_.now};
		auto checked = check_id_token(token->get_string(), expected);
		if (const auto *fault = std::get_if<std::string_view>(&checked))
			return fail(*fault);
		claims_ = std::move(std::get<IdTokenClaims>(checked));
		return true;
	}

	const Expected &expected_;
	const Provider &provider_;
	const json::value &answer_;
	const json::value *members_; // the object that holds the access token
	std::string_view token_name_;
	std::string_view fault_;
	std::optional<IdTokenClaims> claims_;
	Grant grant_;
};

} // namespace

std::variant<Grant, NoGrant> read_token_answer(const Expected &expected,
											   const ProviderAnswer &answer)
{
	if (const auto no_grant = judge_status(answer))
		return *no_grant;
	const auto body = parse_body(answer);
	if (!body)
		return kMalformed;
	if (const auto no_grant = find_error(*body))
		return *no_grant;
	return Reader(expected, *body).read();
}

} // namespace sidecar::oauth
