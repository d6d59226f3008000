#include "oauth/token_answer.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include "samples.hpp"

using namespace sidecar::oauth;
using Kind = NoGrant::Kind;
using samples::kNow;
using samples::replaced;

namespace
{

const std::string kGood = R"({"access_token":"an access token","token_type":"Bearer",)"
						  R"("expires_in":3600,"refresh_token":"a refresh token","scope":"b a"})";

// What an answer is held against, for tests to change.
struct Case {
	Case() { provider = samples::provider(); }

	std::variant<Grant, NoGrant> read(const ProviderAnswer &answer) const
	{
		return read_token_answer(
			{provider, issuer, "client", samples::kNonce, asked, callback_extra, kNow}, answer);
	}
	std::variant<Grant, NoGrant> read(std::string_view body) const
	{
		return read(samples::answer(200, body));
	}
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
		replaced(kGood, "\"access_token\"", "\"accessToken\""),
		replaced(kGood, "a refresh token", long_token),
		replaced(kGood, "a refresh", "a\\trefresh"),
		replaced(kGood, "\"a refresh token\"", "7"),
		replaced(kGood, "\"a refresh token\"", "{}"),
		replaced(kGood, "Bearer", "mac"),
		replaced(kGood, "Bearer", "DPoP"),
		replaced(kGood, "Bearer", "bearer "),
		replaced(kGood, "\"Bearer\"", "\"\""),
		replaced(kGood, "\"Bearer\"", "null"),
		replaced(kGood, "\"Bearer\"", "[\"Bearer\"]"),
		replaced(kGood, "3600", "0"),
		replaced(kGood, "3600", "-1"),
		replaced(kGood, "3600", "0.9"),
		replaced(kGood, "3600", "1e308"),
		replaced(kGood, "3600", "1e999"),
		replaced(kGood, "3600", "2147483648"),
		replaced(kGood, "3600", "18446744073709551615"),
		replaced(kGood, "3600", "-9223372036854775808"),
		replaced(kGood, "3600", "99999999999999999999999"),
		replaced(kGood, "3600", "\"\""),
		replaced(kGood, "3600", "\"0\""),
		replaced(kGood, "3600", "\"-5\""),
		replaced(kGood, "3600", "\"nan\""),
		replaced(kGood, "3600", "\"inf\""),
		replaced(kGood, "3600", "\"0x10\""),
		replaced(kGood, "3600", "\"3600s\""),
		replaced(kGood, "3600", "\" 3600\""),
		replaced(kGood, "3600", "\"3600\\u0000\""),
		replaced(kGood, "3600", "true"),
		replaced(kGood, "3600", "[3600]"),
		replaced(kGood, "3600", "NaN"),
		replaced(kGood, "\"b a\"", "7"),
		replaced(kGood, "\"b a\"", "[\"a\",7]"),
		replaced(kGood, "\"b a\"", "[[\"a\"]]"),
		replaced(kGood, "\"b a\"", "{\"a\":1}"),
		replaced(kGood, "b a", "b\\u0000a"),
		replaced(kGood, "b a", "b\\na"),
		replaced(kGood, "b a", "b\\ta"),
		replaced(kGood, "b a", "b\u00e9"),
		replaced(kGood, "b a", std::string(20000, 's')),
		with("\"access_token\":\"an access token\""),
		with("\"\\u0061ccess_token\":\"another\""),
		with("\"expires_in\":3600"),
		with("\"x\":{\"a\":1,\"a\":2}"),
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
	EXPECT_EQ(Case().fault(replaced(kGood, "Bearer", "mac")), "the token's type is not bearer");
	EXPECT_EQ(Case().fault(replaced(kGood, "3600", "-1")),
			  "expires_in is no possible number of seconds");
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
	EXPECT_NE(with_default.fault(replaced(kGood, "3600", "0")), "");
}

TEST(TokenAnswer, TokensAtTheBounds)
{
	const std::string longest(65536, '~');
	EXPECT_EQ(Case().grant(replaced(kGood, "an access token", longest)).access_token.reveal(),
			  longest);
	EXPECT_EQ(Case().grant(replaced(kGood, "an access token", " !~\\\"")).access_token.reveal(),
			  " !~\"");
	for (const auto *absent : {"\"\"", "null"})
		EXPECT_FALSE(Case().grant(replaced(kGood, "\"a refresh token\"", absent)).refresh_token);
	EXPECT_EQ(Case().fault(replaced(kGood, "Bearer", "bEARER")), "");
}

TEST(TokenAnswer, Scopes)
{
	const std::pair<std::string, std::optional<std::string>> scopes[] = {
		{"\" a  b a \"", "a b"},
		{"\"\"", ""},
		{"[\"a\",\"b c\"]", "a b c"},
		{"[]", ""},
		{"null", "asked more"},
		{"\"a,b\"", "a,b"},
		{"\"  \"", ""}};
	for (const auto &[text, stored] : scopes)
		EXPECT_EQ(Case().grant(replaced(kGood, "\"b a\"", text)).scopes, stored) << text;

	Case commas;
	commas.provider.scope_separator = ",";
	EXPECT_EQ(commas.grant(replaced(kGood, "b a", "b,a c")).scopes, "b a c");
	Case nothing;
	nothing.asked.clear();
	EXPECT_EQ(nothing.grant(R"({"access_token":"a"})").scopes, std::nullopt);
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
		  with("\"error\":1"), with("\"error\":\"\""), with("\"error\":true"), with("\"ok\":false"),
		  std::string(R"({"ok":false,"error":"invalid_code"})")})
		EXPECT_EQ(kind_of(Case().read(body)), Kind::refused) << body;
	for (const std::string &body :
		 {with("\"error\":null"), with("\"error\":false"), with("\"error\":{}"),
		  with("\"ok\":true"), with("\"ok\":\"false\"")})
		EXPECT_EQ(Case().fault(body), "") << body;
	EXPECT_EQ(std::get<NoGrant>(Case().read(samples::answer(400, "error=invalid_client",
															"application/x-www-form-urlencoded")))
				  .reason,
			  "the provider answered invalid_client");
}

TEST(TokenAnswer, OtherStatus)
{
	for (const int status : {0, 100, 202, 203, 204, 206, 301, 302, 307, 308, 399, 600, 999, -1})
		EXPECT_EQ(kind_of(Case().read(samples::answer(status, kGood))), Kind::invalid_answer)
			<< status;
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
	EXPECT_EQ(grant.scopes, "x y,z");
	EXPECT_FALSE(grant.refresh_token);
	EXPECT_TRUE(std::holds_alternative<Grant>(
		Case().read(samples::answer(200, "access_token=a\n", "text/plain"))));
	EXPECT_TRUE(std::holds_alternative<Grant>(
		Case().read(samples::answer(200, " " + kGood, "text/plain"))));

	for (const std::string body :
		 {"", "access_token=", "access_token=a&access_token=a", "access_token=a&expires_in=0",
		  "access_token=a&token_type=mac", "access_token=%00", "access_token=%ff", "access_token=%",
		  "access_token=a%0d%0ab", "token=a", "{\"access_token\":\"a\"}"})
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

// C10 and FLOW.md: never a token, whatever `extra` names.
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
