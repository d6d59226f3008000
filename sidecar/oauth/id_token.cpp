#include "oauth/id_token.hpp"

#include "common/ascii.hpp"
#include "common/digest.hpp"
#include "common/secret_string.hpp"
#include "oauth/json.hpp"
#include "oauth/tenant_issuer.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace sidecar::oauth
{

namespace
{

namespace json = boost::json;

constexpr std::size_t kMaxSubjectBytes = 255; // OpenID Connect Core, section 2
constexpr std::size_t kMaxEmailBytes = 320;   // RFC 3696 errata 1690, before its correction
constexpr long long kMaxAgeSeconds =
	24 * 3600; // it is minutes old at most, but clocks may be wrong

constexpr std::string_view kAlgorithms[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
											"PS512", "ES256", "ES384", "ES512", "EdDSA"};

// Header, payload and signature; all empty if there are not three parts.
std::array<std::string_view, 3> split(std::string_view token) noexcept
{
	const std::size_t first = token.find('.');
	const std::size_t last = token.rfind('.');
	if (first == last || token.find('.', first + 1) != last)
		return {};
	return {token.substr(0, first), token.substr(first + 1, last - first - 1),
			token.substr(last + 1)};
}

// A part of the token that is a JSON object.
std::optional<json::value> read_part(std::string_view part)
{
	std::optional<std::string> text = common::base64url_decode(part);
	if (!text)
		return std::nullopt;
	std::optional<LooseJson> parsed = parse_loose_json(*text);
	common::wipe(*text);
	if (!parsed || !parsed->doubled.empty() || !parsed->value.is_object())
		return std::nullopt;
	return std::move(parsed->value);
}

std::optional<double> find_number(const json::value &claims, std::string_view name)
{
	const json::value *found = find_path(claims, name);
	if (found == nullptr || !found->is_number())
		return std::nullopt;
	const double number = found->to_number<double>();
	return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

bool is_issuer(const json::value &claims, const IdTokenExpected &expected)
{
	const auto issuer = find_string(claims, "iss");
	if (!expected.issuer_per_tenant)
		return issuer && issuer == expected.issuer;
	const auto tenant = find_string(claims, "tid");
	return issuer && tenant && tenant_of(*issuer) == tenant;
}

// Whether the token is for this client, among `count` audiences.
bool is_audience(const json::value &claims, std::string_view client_id, std::size_t &count)
{
	const json::value *found = find_path(claims, "aud");
	count = 1;
	if (found == nullptr || client_id.empty())
		return false;
	if (const json::string *text = found->if_string())
		return std::string_view(*text) == client_id;
	const json::array *array = found->if_array();
	if (array == nullptr)
		return false;
	count = array->size();
	return std::ranges::all_of(*array, [](const json::value &one) { return one.is_string(); }) &&
		   std::ranges::any_of(*array, [&](const json::value &one) {
			   return std::string_view(one.get_string()) == client_id;
		   });
}

bool is_authorized_party(const json::value &claims, std::string_view client_id,
						 std::size_t audiences)
{
	if (find_path(claims, "azp") == nullptr)
		return audiences == 1;
	return find_string(claims, "azp") == client_id;
}

bool is_alive(const json::value &claims, long long now)
{
	const auto expiry = find_number(claims, "exp");
	return expiry && *expiry > static_cast<double>(now - kMaxClockSkewSeconds);
}

bool is_recent(const json::value &claims, long long now)
{
	const auto issued = find_number(claims, "iat");
	return issued && *issued <= static_cast<double>(now + kMaxClockSkewSeconds) &&
		   *issued >= static_cast<double>(now - kMaxAgeSeconds);
}

bool is_nonce(const json::value &claims, const IdTokenExpected &held)
{
	const std::string_view expected = held.nonce;
	const json::value *found = find_path(claims, "nonce");
	if (held.allow.no_nonce && (found == nullptr || found->is_null()))
		return true;
	const auto nonce = find_string(claims, "nonce");
	return nonce && nonce->size() == expected.size() &&
		   CRYPTO_memcmp(nonce->data(), expected.data(), expected.size()) == 0;
}

// Empty: there is none, or it is malformed.
std::string subject_of(const json::value &claims, bool numeric)
{
	const json::value *found = find_path(claims, "sub");
	if (found != nullptr && numeric && found->is_int64())
		return std::to_string(found->get_int64());
	if (found != nullptr && numeric && found->is_uint64())
		return std::to_string(found->get_uint64());
	const auto subject = find_string(claims, "sub");
	if (!subject || subject->size() > kMaxSubjectBytes ||
		!std::ranges::all_of(*subject, common::is_printable))
		return {};
	return std::string(*subject);
}

bool is_algorithm(const json::value &header, const IdTokenAllowances &allow)
{
	const auto algorithm = find_string(header, "alg");
	return algorithm && (std::ranges::find(kAlgorithms, *algorithm) != std::end(kAlgorithms) ||
						 (allow.hs256 && *algorithm == "HS256"));
}

std::string email_of(const json::value &claims)
{
	const auto email = find_string(claims, "email");
	if (!email || email->size() > kMaxEmailBytes || std::ranges::any_of(*email, common::is_control))
		return {};
	return std::string(*email);
}

bool is_current(const json::value &claims, long long now)
{
	return is_alive(claims, now) && is_recent(claims, now);
}

// What is wrong with the claims. Empty: nothing.
std::string_view fault_of(const json::value &claims, const IdTokenExpected &expected)
{
	std::size_t audiences;
	if (!is_issuer(claims, expected))
		return "the ID token's iss is not the provider's";
	if (!is_audience(claims, expected.client_id, audiences))
		return "the ID token's aud is not this client";
	if (!is_authorized_party(claims, expected.client_id, audiences))
		return "the ID token's azp is not this client";
	if (!expected.is_refresh && !is_alive(claims, expected.now))
		return "the ID token's exp is past or missing";
	if (!expected.is_refresh && !is_recent(claims, expected.now))
		return "the ID token's iat is far off or missing";
	if (!expected.is_refresh && !is_nonce(claims, expected))
		return "the ID token's nonce is not this attempt's";
	const std::string subject = subject_of(claims, expected.allow.numeric_sub);
	if (subject.empty())
		return "the ID token's sub is missing or malformed";
	if (!expected.subject.empty() && subject != expected.subject)
		return "the ID token's sub is another account's";
	return {};
}

} // namespace

std::variant<IdTokenClaims, std::string_view> check_id_token(std::string_view token,
															 const IdTokenExpected &expected)
{
	constexpr std::string_view kMalformed = "the ID token is malformed";
	if (token.size() > kMaxIdTokenBytes)
		return kMalformed;
	const auto [header_part, payload_part, signature] = split(token);
	const auto header = read_part(header_part);
	const auto claims = read_part(payload_part);
	// A critical extension that we do not know must be refused (RFC 7515 section 4.1.11).
	if (!header || !claims || signature.empty() || !common::base64url_decode(signature) ||
		find_path(*header, "crit") != nullptr)
		return kMalformed;
	if (!is_algorithm(*header, expected.allow))
		return "the ID token's alg is not allowed";
	if (const std::string_view fault = fault_of(*claims, expected); !fault.empty())
		return fault;
	return IdTokenClaims{subject_of(*claims, expected.allow.numeric_sub),
						 std::string(*find_string(*claims, "iss")), email_of(*claims),
						 is_current(*claims, expected.now)};
}

} // namespace sidecar::oauth
