#include "oauth/token_answer.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <tuple>

#include "samples.hpp"

using namespace sidecar::oauth;
using Kind = NoGrant::Kind;
using samples::kNow;
using samples::replaced;
using List = std::vector<std::string>;

namespace
{

const std::string kGood = R"({"access_token":"an access token","token_type":"Bearer",)"
						  R"("expires_in":3600,"refresh_token":"a refresh token","scope":"b a"})";

// What an answer is held against, for tests to change.
struct Case {
	Case() { provider = samples::provider(); }

	std::variant<Grant, NoGrant> read(const ProviderAnswer &answer) const
	{
		return read_token_answer({provider, issuer, "client", samples::kNonce, asked,
								  callback_extra, kNow, callback_scope},
								 answer);
	}
	std::variant<Grant, NoGrant> read(std::string_view body) const
	{
		return read(samples::answer(200, body));
	}
	std::vector<std::string> warnings(std::string_view body) const { return grant(body).warnings; }
	Grant grant(std::string_view body) const { return std::get<Grant>(read(body)); }
	// "" where there is a grant.
	std::string_view fault(std::string_view body) const
	{
		const auto read = this->read(body);
		const auto *no_grant = std::get_if<NoGrant>(&read);
		return no_grant ? no_grant->reason : "";
	}
	boost::json::object details(std::string_view body) const
	{
		return boost::json::parse(grant(body).details).as_object();
	}

	Provider provider;
	std::string issuer{samples::kIssuer};
	std::vector<std::string> asked = {"asked", "more"};
	Pairs callback_extra;
	std::string callback_scope;
};

Kind kind_of(const std::variant<Grant, NoGrant> &read)
{
	return std::get<NoGrant>(read).kind;
}

// A good answer with one more member.
std::string with(const std::string &member)
{
	return replaced(kGood, "}", "," + member + "}");
}

std::string with_id_token(const std::string &claims)
{
	return with("\"id_token\":\"" + samples::id_token(claims) + "\"");
}

} // namespace

TEST(TokenAnswer, Good)
{
	const Grant grant = Case().grant(kGood);
	EXPECT_EQ(grant.access_token.reveal(), "an access token");
	EXPECT_EQ(grant.refresh_token->reveal(), "a refresh token");
	EXPECT_EQ(grant.expires_in, 3600);
	EXPECT_EQ(grant.scopes, "b a");
	EXPECT_EQ(grant.details, R"({"client_id":"client","lifetime":3600})");
	EXPECT_TRUE(std::holds_alternative<Grant>(Case().read(samples::answer(201, kGood))));
	EXPECT_TRUE(
		std::holds_alternative<Grant>(Case().read(samples::answer(200, kGood, "text/html"))));
}

TEST(TokenAnswer, Least)
{
	const Grant grant = Case().grant(R"({"access_token":"a"})");
	EXPECT_EQ(grant.access_token.reveal(), "a");
	EXPECT_FALSE(grant.refresh_token);
	EXPECT_FALSE(grant.expires_in);
	EXPECT_EQ(grant.scopes, "asked more");
	EXPECT_EQ(grant.details, R"({"client_id":"client"})");
}

// F13: everything else is an exact error.
TEST(TokenAnswer, InvalidAnswers)
{
	const std::string long_token(65537, 'x');
	const std::string bodies[] = {
		"",
		"x",
		"null",
		"[]",
		"\"token\"",
		"<html></html>",
		kGood + kGood,
		kGood.substr(0, kGood.size() - 1),
		replaced(kGood, "\"an access token\"", "\"\""),
		replaced(kGood, "\"an access token\"", "null"),
		replaced(kGood, "\"an access token\"", "7"),
		replaced(kGood, "\"an access token\"", "[\"x\"]"),
		replaced(kGood, "an access", "an\\u0000access"),
		replaced(kGood, "an access", "an\\naccess"),
		replaced(kGood, "an access", "an\\r\\naccess"),
		replaced(kGood, "an access", "an\\u007faccess"),
		replaced(kGood, "an access", "an\u00e9access"),
		replaced(kGood, "an access",
				 "an\xff"
				 "access"),
		replaced(kGood, "an access", "an\naccess"),
		replaced(kGood, "an access token", long_token),
		replaced(kGood, "a refresh token", long_token),
		replaced(kGood, "a refresh", "a\\trefresh"),
		replaced(kGood, "\"a refresh token\"", "7"),
		replaced(kGood, "\"a refresh token\"", "{}"),
		replaced(kGood, "Bearer", "mac"),
		replaced(kGood, "Bearer", "DPoP"),
		replaced(kGood, "Bearer", " dpop "),
		replaced(kGood, "Bearer", "n_a"),
		replaced(kGood, "Bearer", "N_A"),
		replaced(kGood, "Bearer", "PoP"),
		replaced(kGood, "\"Bearer\"", "[\"Bearer\",\"DPoP\"]"),
		replaced(kGood, "\"token_type\":\"Bearer\"", "\"tokenType\":\"MAC\""),
		replaced(kGood, "3600", "NaN"),
		with("\"access_token\":\"an access token\""),
		with("\"\\u0061ccess_token\":\"another\""),
		with("\"x\":" + std::string(16, '[') + std::string(16, ']')),
		with("\"x\":\"" + std::string(1024 * 1024, 'x') + "\""),
	};
	for (const std::string &body : bodies) {
		const auto read = Case().read(body);
		ASSERT_TRUE(std::holds_alternative<NoGrant>(read)) << body.substr(0, 200);
		EXPECT_EQ(kind_of(read), Kind::invalid_answer) << body.substr(0, 200);
	}
}

TEST(TokenAnswer, ReasonsAreFixedTexts)
{
	EXPECT_EQ(Case().fault(replaced(kGood, "Bearer", "mac")),
			  "the token's type needs a proof of possession, which we do not give");
	EXPECT_EQ(Case().fault(R"({"error":"invalid_grant"})"), "the provider answered invalid_grant");
	EXPECT_EQ(Case().fault(R"({"error":"sentinel"})"), "the provider answered an error of its own");
}

TEST(TokenAnswer, Expiry)
{
	const std::pair<std::string, std::optional<int>> expiries[] = {
		{"1", 1},        {"3600.9", 3600},  {"\"3600\"", 3600},         {"\"3600.5\"", 3600},
		{"3.6e3", 3600}, {"\"1e3\"", 1000}, {"2147483647", 2147483647}, {"null", std::nullopt}};
	for (const auto &[text, seconds] : expiries)
		EXPECT_EQ(Case().grant(replaced(kGood, "3600", text)).expires_in, seconds) << text;

	Case with_default;
	with_default.provider.default_expires_in = 7200;
	EXPECT_EQ(with_default.grant(replaced(kGood, "3600", "null")).expires_in, 7200);
	EXPECT_EQ(with_default.grant(R"({"access_token":"a"})").expires_in, 7200);
	EXPECT_EQ(with_default.grant(kGood).expires_in, 3600);
	EXPECT_EQ(with_default.grant(replaced(kGood, "3600", "0")).expires_in, 7200);
	EXPECT_EQ(with_default.warnings(replaced(kGood, "3600", "0")),
			  List{"expires_in is zero, negative or past; default_expires_in is taken instead"});
}

// What a lifetime says is advice: it is never a reason to refuse the grant, and what
// could not be understood is never left out in silence.
TEST(TokenAnswer, ExpiriesThatSayNothing)
{
	for (const auto *text : {"0",
							 "-1",
							 "0.0",
							 "-0.5",
							 "\"0\"",
							 "\"-5\"",
							 "\"\"",
							 "\" \"",
							 "\"never\"",
							 "\"nan\"",
							 "\"inf\"",
							 "\"0x10\"",
							 "\"3600s\"",
							 "\"3600\\u0000\"",
							 "1e308",
							 "1e999",
							 "4294967295",
							 "18446744073709551615",
							 "9223372036854775807",
							 "-9223372036854775808",
							 "99999999999999999999999",
							 "true",
							 "false",
							 "[3600]",
							 "{\"a\":1}"}) {
		const Grant grant = Case().grant(replaced(kGood, "3600", text));
		EXPECT_FALSE(grant.expires_in) << text;
		EXPECT_EQ(grant.refresh_token->reveal(), "a refresh token");
		EXPECT_EQ(grant.warnings.size(), 1u) << text;
		EXPECT_TRUE(grant.warnings[0].starts_with("expires_in is ")) << grant.warnings[0];
	}
	EXPECT_EQ(Case().grant(replaced(kGood, "3600", "0.9")).expires_in, 1);
	EXPECT_EQ(Case().grant(replaced(kGood, "3600", "\" 3600 \"")).expires_in, 3600);
	// As seconds it would be 57 years.
	const std::string unix_time = replaced(kGood, "3600", std::to_string(kNow + 3600));
	EXPECT_EQ(Case().grant(unix_time).expires_in, 3600);
	EXPECT_EQ(Case().warnings(unix_time).size(), 1u);
}

// Never lost: an expiry under another name or in another form.
TEST(TokenAnswer, ExpiriesUnderOtherNames)
{
	const std::string in_an_hour = std::to_string(kNow + 3600);
	const std::string iso = "2027-01-15T09:00:00"; // kNow is 08:00 UTC
	const std::string members[] = {
		R"("expiresIn":3600)",
		R"("expires":3600)",
		R"("expires":"3600")",
		R"("expires":)" + in_an_hour,
		R"("expires":")" + in_an_hour + "\"",
		R"("expires_at":)" + in_an_hour,
		R"("expires_at":)" + in_an_hour + "000",
		R"("expires_on":")" + in_an_hour + "\"",
		R"("expiresAt":")" + iso + "Z\"",
		R"("expires_at":")" + iso + "\"",
		R"("expires_at":"2027-01-15T10:00:00.123+01:00")",
		R"("expires_at":"2027-01-15 07:30:00-0130")",
		R"("expires_in":0,"expires_at":)" + in_an_hour,
		R"("expires_in":3600,"expires_at":1,"expires":"x")",
	};
	for (const std::string &member : members)
		EXPECT_EQ(Case().grant(R"({"access_token":"a",)" + member + "}").expires_in, 3600)
			<< member;
	for (const auto *past : {"1", "\"2027-01-15T07:59:59Z\"", "\"2027-13-01\"", "\"tomorrow\""}) {
		const std::string body =
			R"({"access_token":"a","expires_at":)" + replaced("X", "X", past) + "}";
		EXPECT_EQ(Case().grant(body).expires_in, *past == '1' ? std::optional(1) : std::nullopt);
		EXPECT_EQ(Case().warnings(body).size(), *past == '1' ? 0u : 1u) << past;
	}
}

TEST(TokenAnswer, ExpiryFormats)
{
	using enum ExpiryFormat;
	const std::string in_an_hour = std::to_string(kNow + 3600);
	const std::tuple<ExpiryFormat, std::string, std::optional<int>> expiries[] = {
		{automatic, "3600", 3600},
		{automatic, in_an_hour, 3600},
		{automatic, in_an_hour + "000", 3600},
		{seconds, "3600", 3600},
		{seconds, "\"3600\"", 3600},
		{milliseconds, "3600000", 3600},
		{milliseconds, "1", 1},
		{unix_seconds, in_an_hour, 3600},
		{unix_seconds, "3600", std::nullopt},
		{unix_milliseconds, "\"" + in_an_hour + "000\"", 3600},
		{iso8601, "\"2027-01-15T09:00:00Z\"", 3600},
		{iso8601, "\"2027-01-16\"", 16 * 3600},
		{iso8601, "\"20270115T090000Z\"", 3600},
		{iso8601, "\"2027-01-15T09:00:00+24:00\"", std::nullopt},
		{iso8601, "\"2027-02-30T09:00:00Z\"", std::nullopt},
		{iso8601, "\"2027-01-15T09:00:00 UTC\"", std::nullopt},
		{iso8601, "\"2027-01-15T\"", std::nullopt},
		{iso8601, "\"9999-12-31T23:59:59Z\"", std::nullopt},
	};
	for (const auto &[format, text, lifetime] : expiries) {
		Case other;
		other.provider.expires_path = "data.0.until";
		other.provider.expires_format = format;
		const Grant grant = other.grant(R"({"access_token":"a","data":[{"until":)" + text + "}]}");
		EXPECT_EQ(grant.expires_in, lifetime) << text;
		EXPECT_EQ(grant.warnings.empty(), lifetime.has_value()) << text;
	}
}

// Whatever is left out is named.
TEST(TokenAnswer, LookAlikes)
{
	const std::pair<std::string, std::string> members[] = {
		{R"("x":{"refresh_token":"another"})", "x.refresh_token looks like a refresh token"},
		{R"("x":[{"RefreshToken":"another"}])", "x.0.RefreshToken looks like a refresh token"},
		{R"("user_refresh_token":"another")", "user_refresh_token looks like a refresh token"},
		{R"("refreshToken":"another")", "refreshToken looks like a refresh token"},
		{R"("bad \u00e9 refresh_token":"another")", "a member looks like a refresh token"},
	};
	for (const auto &[member, text] : members) {
		const List warnings = Case().warnings(with(member));
		ASSERT_EQ(warnings.size(), 1u) << member;
		EXPECT_TRUE(warnings[0].starts_with(text)) << warnings[0];
		EXPECT_EQ(warnings[0].find("another"), std::string::npos);
	}
	for (const auto *member :
		 {R"("refresh_token_expires_in":"100")", R"("x_refresh_token_expires_in":8726400)",
		  R"("copy":{"refresh_token":"a refresh token"})", R"("has_refresh_token":"true")",
		  R"("refresh_token_2":"")", R"("refresh_expires_in":1)", R"("ext_expires_in":3600)"})
		EXPECT_EQ(Case().warnings(with(member)), List{}) << member;
	for (const auto *member : {R"("x":{"expires_in":60})", R"("accessTokenExpiration":"1")",
							   R"("token_expires":1)", R"("valid_until":"2027-01-16")"}) {
		const List warnings =
			Case().warnings(R"({"access_token":"a",)" + std::string(member) + "}");
		ASSERT_EQ(warnings.size(), 1u) << member;
		EXPECT_NE(warnings[0].find("looks like an expiry"), std::string::npos) << warnings[0];
	}
	EXPECT_EQ(Case().warnings(R"({"access_token":"a","x":{"scope":"b"}})").size(), 1u);
}

// C10: nor is one of another grant stored in `extra`.
TEST(TokenAnswer, LookAlikesAreNotStored)
{
	Case extra;
	extra.provider.extra = {"copy"};
	const auto details =
		extra.details(with(R"("x":{"refreshToken":"of another grant"},"copy":"of another grant")"));
	EXPECT_FALSE(details.contains("extra"));
}

TEST(TokenAnswer, Paths)
{
	Case deep;
	deep.provider.access_token_path = "data.0.key";
	deep.provider.refresh_token_path = "data.1.key";
	deep.provider.scope_path = "rights";
	deep.provider.expires_path = "until";
	deep.provider.extra = {"data.1", "data.1.key"};
	const std::string body = R"({"data":[{"key":"k0"},{"key":"the refresh token k1"}],)"
							 R"("rights":["a","b"],"until":60})";
	const Grant grant = deep.grant(body);
	EXPECT_EQ(grant.access_token.reveal(), "k0");
	EXPECT_EQ(grant.refresh_token->reveal(), "the refresh token k1");
	EXPECT_EQ(grant.scopes, "a b");
	EXPECT_EQ(grant.expires_in, 60);
	EXPECT_EQ(grant.warnings, List{});
	EXPECT_EQ(grant.details.find("k1"), std::string::npos);
	EXPECT_NE(deep.fault(R"({"data":["k0"]})"), "");
	EXPECT_NE(deep.fault(R"({"data":{"0":"k0"}})"), "");
}

TEST(TokenAnswer, CamelCase)
{
	const Grant grant = Case().grant(
		R"({"accessToken":"a","refreshToken":"r","expiresIn":60,"tokenType":"bearer"})");
	EXPECT_EQ(grant.access_token.reveal(), "a");
	EXPECT_EQ(grant.refresh_token->reveal(), "r");
	EXPECT_EQ(grant.expires_in, 60);
	EXPECT_EQ(grant.warnings, List{});
	Case nested;
	nested.provider.access_token_path = "result.accessToken";
	EXPECT_EQ(nested.grant(R"({"result":{"accessToken":"a","refreshToken":"r","expiresIn":60}})")
				  .refresh_token->reveal(),
			  "r");
}

TEST(TokenAnswer, TokenTypes)
{
	for (const auto *type : {"\"bot\"", "\"user\"", "\"bEARER\"", "\"bearer \"", "\"\"", "null",
							 "[\"Bearer\"]", "7", "\"macaroon\"", "\"urn:x:dpop\""})
		EXPECT_EQ(Case().fault(replaced(kGood, "\"Bearer\"", type)), "") << type;
	Case allowed;
	allowed.provider.allow_token_types = {"dpop"};
	EXPECT_EQ(allowed.fault(replaced(kGood, "Bearer", "DPoP")), "");
	EXPECT_NE(allowed.fault(replaced(kGood, "Bearer", "mac")), "");
	Case nested;
	nested.provider.access_token_path = "user.token";
	EXPECT_EQ(nested.fault(R"({"token_type":"bot","user":{"token":"a","token_type":"user"}})"), "");
	EXPECT_NE(nested.fault(R"({"user":{"token":"a","token_type":"DPoP"}})"), "");
	EXPECT_NE(nested.fault(R"({"token_type":"DPoP","user":{"token":"a"}})"), "");
}

TEST(TokenAnswer, ByteOrderMark)
{
	EXPECT_EQ(Case().grant("\xef\xbb\xbf" + kGood).expires_in, 3600);
	EXPECT_EQ(Case().grant("\xef\xbb\xbf \r\n" + kGood).expires_in, 3600);
	EXPECT_TRUE(std::holds_alternative<Grant>(
		Case().read(samples::answer(200,
									"\xef\xbb\xbf"
									"access_token=a",
									"application/x-www-form-urlencoded"))));
	EXPECT_NE(Case().fault("\xef\xbb\xbf\xef\xbb\xbf" + kGood), "");
	EXPECT_NE(Case().fault("\xef\xbb" + kGood), "");
}

TEST(TokenAnswer, TokensAtTheBounds)
{
	const std::string longest(65536, '~');
	EXPECT_EQ(Case().grant(replaced(kGood, "an access token", longest)).access_token.reveal(),
			  longest);
	EXPECT_EQ(Case().grant(replaced(kGood, "an access token", " !~\\\"")).access_token.reveal(),
			  " !~\"");
	for (const auto *absent : {"\"\"", "null", "false"})
		EXPECT_FALSE(Case().grant(replaced(kGood, "\"a refresh token\"", absent)).refresh_token);
}

TEST(TokenAnswer, Scopes)
{
	const std::pair<std::string, std::optional<std::string>> scopes[] = {
		{"\" a  b a \"", "a b"},
		{"\"\"", ""},
		{"[\"a\",\"b c\"]", "a b c"},
		{"[]", ""},
		{"null", "asked more"},
		{"\"a,b\"", "a b"},
		{"\"a+b;c\"", "a b c"},
		{"\"a\\nb\\tc\"", "a b c"},
		{"\"  \"", ""}};
	for (const auto &[text, stored] : scopes)
		EXPECT_EQ(Case().grant(replaced(kGood, "\"b a\"", text)).scopes, stored) << text;

	Case commas;
	commas.provider.scope_separator = ",";
	EXPECT_EQ(commas.grant(replaced(kGood, "b a", "b,a c")).scopes, "b a c");
	// As it was asked for.
	Case odd;
	odd.asked = {"x?c=1,2", "a"};
	EXPECT_EQ(odd.grant(replaced(kGood, "b a", "a x?c=1,2 c,d")).scopes, "a x?c=1,2 c d");
	EXPECT_EQ(Case().grant(R"({"access_token":"a","scopes":["x","y"]})").scopes, "x y");
	EXPECT_EQ(Case().grant(R"({"access_token":"a","scope":"","scopes":["x","y"]})").scopes, "x y");

	Case nothing;
	nothing.asked.clear();
	EXPECT_EQ(nothing.grant(R"({"access_token":"a"})").scopes, std::nullopt);
}

TEST(TokenAnswer, ScopesThatSayNothing)
{
	const std::string texts[] = {
		"7",    "[\"a\",7]",     "[[\"a\"]]",   "{\"a\":1}",
		"true", "\"b\\u0000a\"", "\"b\u00e9\"", "\"" + std::string(20000, 's') + "\""};
	for (const std::string &text : texts) {
		const Grant grant = Case().grant(replaced(kGood, "\"b a\"", text));
		EXPECT_EQ(grant.scopes, std::nullopt) << text;
		EXPECT_EQ(grant.warnings, List{"scope is malformed; the granted scopes are not known"});
	}
}

// Strava tells them in the callback alone, with commas.
TEST(TokenAnswer, ScopesOfTheCallback)
{
	Case strava;
	strava.callback_scope = "read,activity:read_all";
	EXPECT_EQ(strava.grant(R"({"access_token":"a"})").scopes, "read activity:read_all");
	EXPECT_EQ(strava.grant(R"({"access_token":"a","scope":""})").scopes, "read activity:read_all");
	EXPECT_EQ(strava.grant(kGood).scopes, "b a");
	strava.callback_scope = "a\x01";
	EXPECT_EQ(strava.grant(R"({"access_token":"a"})").scopes, std::nullopt);
	EXPECT_EQ(strava.warnings(R"({"access_token":"a"})").size(), 1u);
}

TEST(TokenAnswer, Unavailable)
{
	for (const int status : {408, 425, 429, 500, 502, 503, 504, 599})
		for (const auto *body : {"", "{\"error\":\"invalid_grant\"}", "{\"access_token\":\"a\"}"})
			EXPECT_EQ(kind_of(Case().read(samples::answer(status, body))), Kind::unavailable);
	using Failure = ProviderAnswer::Failure;
	for (const Failure failure : {Failure::busy, Failure::resolve, Failure::connect, Failure::tls,
								  Failure::timeout, Failure::broken}) {
		auto answer = samples::answer(200, kGood);
		answer.failure = failure;
		EXPECT_EQ(kind_of(Case().read(answer)), Kind::unavailable);
	}
}

// 100 MB come again, and are no reason to try.
TEST(TokenAnswer, TooLarge)
{
	auto answer = samples::answer(200, kGood);
	answer.failure = ProviderAnswer::Failure::too_large;
	EXPECT_EQ(kind_of(Case().read(answer)), Kind::invalid_answer);
}

TEST(TokenAnswer, Refused)
{
	for (const int status : {400, 401, 403, 404, 418, 499})
		for (const auto &body : {std::string(), kGood, std::string(R"({"error":"invalid_grant"})")})
			EXPECT_EQ(kind_of(Case().read(samples::answer(status, body))), Kind::refused);
	for (const std::string &body :
		 {with("\"error\":\"bad_verification_code\""), with("\"error\":{\"message\":\"x\"}"),
		  with("\"error\":1"), with("\"error\":true"), with("\"ok\":false"),
		  std::string(R"({"ok":false,"error":"invalid_code"})")})
		EXPECT_EQ(kind_of(Case().read(body)), Kind::refused) << body;
	for (const std::string &body :
		 {with("\"error\":null"), with("\"error\":false"), with("\"error\":{}"),
		  with("\"error\":\"\""), with("\"error\":[]"), with("\"error\":0"), with("\"ok\":true"),
		  with("\"ok\":\"false\"")})
		EXPECT_EQ(Case().fault(body), "") << body;
	EXPECT_EQ(std::get<NoGrant>(Case().read(samples::answer(400, "error=invalid_client",
															"application/x-www-form-urlencoded")))
				  .reason,
			  "the provider answered invalid_client");
}

TEST(TokenAnswer, OtherStatus)
{
	for (const int status : {0, 100, 101, 199, 300, 301, 302, 307, 308, 399, 600, 999, -1})
		EXPECT_EQ(kind_of(Case().read(samples::answer(status, kGood))), Kind::invalid_answer)
			<< status;
	// 203 is what a proxy makes of 200 (RFC 9110 section 15.3.4).
	for (const int status : {200, 201, 202, 203, 206, 299})
		EXPECT_TRUE(std::holds_alternative<Grant>(Case().read(samples::answer(status, kGood))))
			<< status;
	const auto empty = Case().read(samples::answer(204, ""));
	EXPECT_EQ(std::get<NoGrant>(empty).reason, "the token answer is empty");
}

// A rotated grant must not be lost for a fault of what nobody reads.
TEST(TokenAnswer, FaultsOfWhatNobodyReads)
{
	for (const std::string &body :
		 {with("\"name\":\"Z\xfcrich\""), with(R"("team":{"name":"\ud83d"})"),
		  with(R"("x":1,"x":2)"), with(R"("user":{"id":1,"id":1})")})
		EXPECT_EQ(Case().fault(body), "") << body;
	const auto read = Case().read(with(R"("scope":"b")"));
	ASSERT_TRUE(std::holds_alternative<Grant>(read));
	EXPECT_EQ(std::get<Grant>(read).scopes, "b");
	EXPECT_EQ(std::get<Grant>(read).warnings,
			  (std::vector<std::string>{"scope comes twice; the last one counts"}));
	for (const std::string &body :
		 {with(R"("access_token":"x")"), with(R"("refresh_token":"x","refresh_token":"y")"),
		  with(R"("\u0061ccess_token":"x")"), with(R"("error":null,"error":"invalid_grant")")})
		EXPECT_EQ(Case().fault(body), "a member of the token answer that decides comes twice")
			<< body;
}

TEST(TokenAnswer, Form)
{
	constexpr std::string_view kForm = "application/x-www-form-urlencoded";
	const auto read = Case().read(samples::answer(
		200,
		"access_token=a%20b&expires_in=60&scope=x+y%2Cz&token_type=bearer&refresh_token=", kForm));
	const Grant &grant = std::get<Grant>(read);
	EXPECT_EQ(grant.access_token.reveal(), "a b");
	EXPECT_EQ(grant.expires_in, 60);
	EXPECT_EQ(grant.scopes, "x y z");
	EXPECT_FALSE(grant.refresh_token);
	EXPECT_TRUE(std::holds_alternative<Grant>(
		Case().read(samples::answer(200, "access_token=a\n", "text/plain"))));
	EXPECT_TRUE(std::holds_alternative<Grant>(
		Case().read(samples::answer(200, " " + kGood, "text/plain"))));
	EXPECT_TRUE(std::holds_alternative<Grant>(Case().read(samples::answer(200, kGood, kForm))));
	const auto facebook =
		Case().read(samples::answer(200, "access_token=a&expires=5183999", kForm));
	EXPECT_EQ(std::get<Grant>(facebook).expires_in, 5183999);
	const auto zero = Case().read(samples::answer(200, "access_token=a&expires_in=0", kForm));
	EXPECT_EQ(std::get<Grant>(zero).warnings.size(), 1u);

	for (const std::string body :
		 {"", "access_token=", "access_token=a&access_token=a", "access_token=a&token_type=mac",
		  "access_token=%00", "access_token=%ff", "access_token=%", "access_token=a%0d%0ab",
		  "token=a", "{\"access_token\":\"a\""})
		EXPECT_EQ(kind_of(Case().read(samples::answer(200, body, kForm))), Kind::invalid_answer)
			<< body;
	EXPECT_EQ(kind_of(Case().read(samples::answer(200, "error=bad_verification_code", kForm))),
			  Kind::refused);
	EXPECT_EQ(kind_of(Case().read(samples::answer(200, "access_token=a"))), Kind::invalid_answer);
}

// Slack: a bot's grant and a user's in one answer must not mix (F17).
TEST(TokenAnswer, NestedToken)
{
	Case slack;
	slack.provider.access_token_path = "authed_user.access_token";
	slack.provider.account_id_path = "authed_user.id";
	slack.provider.account_label_path = "team.name";
	slack.provider.extra = {"team.id", "authed_user", "is_enterprise_install"};
	const std::string body =
		R"({"ok":true,"access_token":"xoxb-of-the-bot","token_type":"bot","scope":"bot",)"
		R"("refresh_token":"of the bot","expires_in":1,"team":{"id":"T1","name":"Team"},)"
		R"("is_enterprise_install":false,"authed_user":{"id":"U1","scope":"chat:write,x",)"
		R"("access_token":"xoxp-of-the-user","token_type":"user"}})";
	slack.provider.scope_separator = ",";
	const Grant grant = slack.grant(body);
	EXPECT_EQ(grant.access_token.reveal(), "xoxp-of-the-user");
	EXPECT_FALSE(grant.refresh_token);
	EXPECT_FALSE(grant.expires_in);
	EXPECT_EQ(grant.scopes, "chat:write x");
	EXPECT_EQ(boost::json::parse(grant.details),
			  boost::json::parse(
				  R"({"account_id":"U1","account_label":"Team","client_id":"client","extra":{)"
				  R"("team.id":"T1","authed_user":{"id":"U1","scope":"chat:write,x",)"
				  R"("token_type":"user"},"is_enterprise_install":false}})"));
	EXPECT_EQ(grant.details.find("xox"), std::string::npos);
	EXPECT_NE(slack.fault(R"({"access_token":"a"})"), "");
	EXPECT_NE(slack.fault(R"({"authed_user":"a"})"), "");
	EXPECT_NE(slack.fault(R"({"authed_user":["a"]})"), "");
}

TEST(TokenAnswer, IdToken)
{
	Case openid;
	openid.asked = {"openid", "email"};
	const Grant grant = openid.grant(with_id_token(samples::claims()));
	EXPECT_EQ(grant.details,
			  R"({"account_id":"alice-at-op","account_label":"alice@example.org",)"
			  R"("issuer":"https://op.example","client_id":"client","lifetime":3600})");
	// F5: a lie ends it, and so does silence.
	EXPECT_EQ(openid.fault(kGood), "the token answer has no ID token");
	EXPECT_EQ(openid.fault(with("\"id_token\":null")), "the token answer has no ID token");
	EXPECT_NE(openid.fault(with("\"id_token\":\"\"")), "");
	EXPECT_NE(openid.fault(with("\"id_token\":7")), "");
	EXPECT_NE(openid.fault(with_id_token(replaced(samples::claims(), "op.example", "evil"))), "");
	EXPECT_EQ(kind_of(openid.read(kGood)), Kind::invalid_answer);

	openid.provider.id_token_optional = true;
	EXPECT_EQ(openid.fault(kGood), "");
	for (const auto *absent : {"\"id_token\":null", "\"id_token\":\"\""})
		EXPECT_EQ(openid.fault(with(absent)), "") << absent;
	EXPECT_NE(openid.fault(with("\"id_token\":\"x\"")), "");
	EXPECT_NE(openid.fault(with("\"id_token\":7")), "");
	EXPECT_NE(openid.fault(with("\"idToken\":\"x\"")), "");
	EXPECT_EQ(openid.details(with_id_token(samples::claims())).at("account_id").as_string(),
			  "alice-at-op");
	EXPECT_NE(openid.fault(with_id_token(replaced(samples::claims(), "op.example", "evil"))), "");
}

// Not asked for: not believed, not even looked at.
TEST(TokenAnswer, IgnoredIdToken)
{
	EXPECT_EQ(Case().grant(with_id_token(samples::claims())).details.find("alice"),
			  std::string::npos);
	EXPECT_EQ(Case().fault(with("\"id_token\":7")), "");
	Case no_issuer;
	no_issuer.asked = {"openid"};
	no_issuer.issuer.clear();
	EXPECT_NE(no_issuer.fault(with("\"id_token\":\"x\"")), "");
	no_issuer.provider.id_token_optional = true;
	EXPECT_EQ(no_issuer.fault(with("\"id_token\":\"x\"")), "");
	EXPECT_EQ(no_issuer.warnings(with("\"id_token\":\"x\"")).size(), 1u);
	EXPECT_EQ(no_issuer.warnings(kGood), List{});
	no_issuer.provider.issuer_per_tenant = true;
	EXPECT_NE(no_issuer.fault(with("\"id_token\":\"x\"")), "");
}

TEST(TokenAnswer, Accounts)
{
	Case named;
	named.provider.account_id_path = "user.id";
	named.provider.account_label_path = "user.name";
	const auto account = [&](const std::string &id) {
		const auto details =
			named.details(with("\"user\":{\"id\":" + id + ",\"name\":\"Al\u00e9\"}"));
		EXPECT_EQ(details.at("account_label").as_string(), "Al\u00e9");
		return details.contains("account_id")
				   ? std::string(details.at("account_id").as_string().c_str())
				   : "(none)";
	};
	EXPECT_EQ(account("\"u1\""), "u1");
	EXPECT_EQ(account("12345678901234"), "12345678901234");
	EXPECT_EQ(account("-1"), "-1");
	EXPECT_EQ(account("18446744073709551615"), "18446744073709551615");
	for (const auto *id : {"\"\"", "null", "1.5", "true", "{}", "[\"a\"]", "\"a\\u0000\"",
						   "\"an access token\"", "\"a refresh token\""})
		EXPECT_EQ(account(id), "(none)") << id;
}

TEST(TokenAnswer, Extra)
{
	Case extra;
	extra.provider.extra = {"instance_url", "n",   "o", "list",    "absent", "nothing",
							"big",          "nul", "t", "realmId", "huge"};
	extra.callback_extra = {{"realmId", "42"}, {"big_one", std::string(5000, 'x')}};
	const auto details = extra.details(
		with(R"("instance_url":"https://na1.example","n":7,"o":{"a":[1,{"b":null}]},"list":[1],)"
			 R"("nothing":null,"nul":"a\u0000b","t":true,"huge":1e999,"big":")" +
			 std::string(5000, 'x') + "\""));
	EXPECT_EQ(details.at("extra"),
			  boost::json::parse(R"({"realmId":"42","instance_url":"https://na1.example","n":7,)"
								 R"("o":{"a":[1,{"b":null}]},"t":true})"));
	// The provider has the last word.
	EXPECT_EQ(extra.details(with("\"realmId\":\"43\"")).at("extra").at("realmId").as_string(),
			  "43");
}

// C10, and docs/design/flow.md, "What is stored": never a token, whatever `extra` names.
TEST(TokenAnswer, ExtraHoldsNoToken)
{
	Case extra;
	extra.provider.extra = {"access_token",
							"refresh_token",
							"id_token",
							"o",
							"copy",
							"o.a",
							"authed_user.access_token",
							"clientSecret",
							"url"};
	const auto details = extra.details(replaced(
		with(R"("id_token":"the ID token itself","copy":"an access token","clientSecret":"s",)"
			 R"("url":"https://x/?t=a long refresh token.","authed_user":{"access_token":"x"},)"
			 R"("o":{"a":"a long refresh token","bot_access_token":"x","keep":1,)"
			 R"("d":[{"id_token":"x"},"an access token"],"an access token":1})"),
		"\"a refresh token\"", "\"a long refresh token\""));
	EXPECT_EQ(details.at("extra"), boost::json::parse(R"({"o":{"keep":1,"d":[{}]}})"));
}
