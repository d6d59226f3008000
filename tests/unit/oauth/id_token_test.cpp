#include "oauth/id_token.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

using namespace sidecar::oauth;
using samples::claims;
using samples::id_token;
using samples::kNow;
using samples::replaced;

namespace
{

IdTokenExpected expected()
{
	return {samples::kIssuer, false, "client", samples::kNonce, kNow, {}};
}

// The fault, or "" where the token is believed.
std::string_view fault_of(const std::string &token, const IdTokenExpected &held = expected())
{
	const auto checked = check_id_token(token, held);
	const auto *fault = std::get_if<std::string_view>(&checked);
	return fault ? *fault : "";
}

std::string with(std::string_view from, std::string_view to)
{
	return id_token(replaced(claims(), from, to));
}

const std::string kAud = R"("aud":"client")";

} // namespace

TEST(IdToken, Claims)
{
	const auto checked = check_id_token(id_token(claims()), expected());
	const auto &read = std::get<IdTokenClaims>(checked);
	EXPECT_EQ(read.subject, "alice-at-op");
	EXPECT_EQ(read.issuer, "https://op.example");
	EXPECT_EQ(read.email, "alice@example.org");
}

TEST(IdToken, Accepted)
{
	const std::string tokens[] = {
		with(kAud, R"("aud":["client"])"),
		with(kAud, R"("aud":["client","other"],"azp":"client")"),
		with(kAud, R"("aud":"client","azp":"client")"),
		with("1800000300", "1799999941"), // within the skew
		with("1800000300", "1800000300.5"),
		with("1799999990", "1800000060"),
		with("1799999990", "1799913600"),
		with("\"alice@example.org\"", "7"),
		with("\"alice@example.org\"", "null"),
		with("alice-at-op", std::string(255, 's')),
	};
	for (const std::string &token : tokens)
		EXPECT_EQ(fault_of(token), "") << token;
	for (const auto *alg :
		 {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
		EXPECT_EQ(fault_of(id_token(claims(), R"({"alg":")" + std::string(alg) + "\"}")), "")
			<< alg;
}

// F5
TEST(IdToken, Mutants)
{
	const std::string nonce(samples::kNonce);
	const std::pair<std::string, std::string_view> mutants[] = {
		{with("op.example", "evil.example"), "iss"},
		{with("op.example", "op.example/"), "iss"},
		{with("op.example", "OP.example"), "iss"},
		{with("\"https://op.example\"", "null"), "iss"},
		{with("\"https://op.example\"", "[\"https://op.example\"]"), "iss"},
		{with("\"iss\"", "\"Iss\""), "iss"},
		{with(kAud, R"("aud":"other")"), "aud"},
		{with(kAud, R"("aud":"client ")"), "aud"},
		{with(kAud, R"("aud":[])"), "aud"},
		{with(kAud, R"("aud":["other"])"), "aud"},
		{with(kAud, R"("aud":["client",7],"azp":"client")"), "aud"},
		{with(kAud, R"("aud":{"client":1})"), "aud"},
		{with(kAud, R"("aud":null)"), "aud"},
		{with(kAud, R"("aud":["client","other"])"), "azp"},
		{with(kAud, R"("aud":["client","client"])"), "azp"},
		{with(kAud, R"("aud":["client","other"],"azp":"other")"), "azp"},
		{with(kAud, R"("aud":"client","azp":"other")"), "azp"},
		{with(kAud, R"("aud":"client","azp":null)"), "azp"},
		{with(kAud, R"("aud":"client","azp":"")"), "azp"},
		{with("1800000300", "1799999940"), "exp"},
		{with("1800000300", "-1"), "exp"},
		{with("1800000300", "1e999"), "exp"},
		{with("1800000300", "\"1800000300\""), "exp"},
		{with("\"exp\"", "\"Exp\""), "exp"},
		{with("1799999990", "1800000061"), "iat"},
		{with("1799999990", "1799913599"), "iat"},
		{with("1799999990", "null"), "iat"},
		{with("\"iat\"", "\"nbf\""), "iat"},
		{with(nonce, ""), "nonce"},
		{with(nonce, nonce.substr(1)), "nonce"},
		{with(nonce, replaced(nonce, "N", "n")), "nonce"},
		{with("\"" + nonce + "\"", "[\"" + nonce + "\"]"), "nonce"},
		{with("\"nonce\"", "\"n\""), "nonce"},
		{with("alice-at-op", ""), "sub"},
		{with("alice-at-op", std::string(256, 's')), "sub"},
		{with("alice-at-op", "\\u0000"), "sub"},
		{with("alice-at-op", "\u00e9"), "sub"},
		{with("\"alice-at-op\"", "7"), "sub"},
		{with("\"sub\"", "\"subject\""), "sub"},
	};
	EXPECT_EQ(fault_of(id_token(claims())), "");
	for (const auto &[token, claim] : mutants)
		EXPECT_NE(fault_of(token).find("token's " + std::string(claim)), std::string::npos)
			<< claim << ": " << fault_of(token);
}

TEST(IdToken, Algorithms)
{
	for (const auto *header :
		 {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"HS256"})", R"({"alg":"rs256"})",
		  R"({"alg":""})", R"({"alg":["RS256"]})", R"({"typ":"JWT"})", R"({"alg":null})"})
		EXPECT_EQ(fault_of(id_token(claims(), header)), "the ID token's alg is not allowed")
			<< header;
}

// Each of the settings lets through exactly what it names (F5).
TEST(IdToken, Allowances)
{
	const std::string nonce = R"("nonce":")" + std::string(samples::kNonce) + "\",";
	const std::string without_nonce = with(nonce, ""), null_nonce = with(nonce, "\"nonce\":null,");
	const std::string hs256 = id_token(claims(), R"({"alg":"HS256"})");
	const std::string number = with("\"alice-at-op\"", "12345678901234567");
	for (const std::string &token : {without_nonce, null_nonce, hs256, number})
		EXPECT_NE(fault_of(token), "") << token;

	IdTokenExpected held = expected();
	held.allow.no_nonce = true;
	EXPECT_EQ(fault_of(without_nonce, held), "");
	EXPECT_EQ(fault_of(null_nonce, held), "");
	EXPECT_EQ(fault_of(id_token(claims()), held), "");
	for (const auto *wrong : {"\"nonce\":\"another\",", "\"nonce\":\"\",", "\"nonce\":7,"})
		EXPECT_NE(fault_of(with(nonce, wrong), held), "") << wrong;
	EXPECT_NE(fault_of(hs256, held), "");
	EXPECT_NE(fault_of(number, held), "");

	held = expected();
	held.allow.hs256 = true;
	EXPECT_EQ(fault_of(hs256, held), "");
	EXPECT_EQ(fault_of(id_token(claims()), held), "");
	for (const auto *header : {R"({"alg":"none"})", R"({"alg":"hs256"})", R"({"alg":"HS512"})"})
		EXPECT_NE(fault_of(id_token(claims(), header), held), "") << header;
	EXPECT_NE(fault_of(without_nonce, held), "");

	held = expected();
	held.allow.numeric_sub = true;
	const auto checked = check_id_token(number, held);
	EXPECT_EQ(std::get<IdTokenClaims>(checked).subject, "12345678901234567");
	for (const auto *wrong : {"1.5", "1e3", "true", "null", "[1]", "99999999999999999999999"})
		EXPECT_NE(fault_of(with("\"alice-at-op\"", wrong), held), "") << wrong;

	held.allow = {true, true, true};
	EXPECT_NE(fault_of(with("op.example", "evil.example"), held), "");
	EXPECT_NE(fault_of(with(kAud, R"("aud":"other")"), held), "");
	EXPECT_NE(fault_of(with("1800000300", "1"), held), "");
}

TEST(IdToken, Malformed)
{
	const std::string good = id_token(claims());
	const std::string tokens[] = {
		"",
		".",
		"..",
		"...",
		"a.b.c",
		good + ".x",
		good + "=",
		good.substr(0, good.rfind('.')),
		good.substr(0, good.rfind('.') + 1),
		good.substr(good.find('.')),
		" " + good,
		good + "\n",
		replaced(good, ".", "+."),
		id_token(claims() + "x"),
		id_token("[" + claims() + "]"),
		id_token(replaced(claims(), "{", "{\"aud\":\"other\",")),
		id_token(replaced(claims(), "{", "{\"\\u0061ud\":\"other\",")),
		id_token(claims(), "\"RS256\""),
		id_token(claims(), R"({"alg":"none","alg":"RS256"})"),
		id_token(claims(), R"({"alg":"RS256","crit":["b64"]})"),
		id_token(replaced(claims(), "alice@", std::string(64 * 1024, 'a'))),
	};
	for (const std::string &token : tokens)
		EXPECT_EQ(fault_of(token), "the ID token is malformed") << token.substr(0, 200);
}

// F12
TEST(IdToken, EmptyIsEqualToNothing)
{
	const std::string empty = with(samples::kNonce, "");
	IdTokenExpected held = expected();
	held.nonce = "";
	EXPECT_NE(fault_of(empty, held), "");
	held = expected();
	held.client_id = "";
	EXPECT_NE(fault_of(with(kAud, R"("aud":"")"), held), "");
	held = expected();
	held.issuer = "";
	EXPECT_NE(fault_of(with("https://op.example", ""), held), "");
}

TEST(IdToken, Email)
{
	const auto email_of = [](std::string_view email) {
		return std::get<IdTokenClaims>(
				   check_id_token(with("\"alice@example.org\"", email), expected()))
			.email;
	};
	EXPECT_EQ(email_of("\"\u00e9@example.org\""), "\u00e9@example.org");
	EXPECT_EQ(email_of("\"a\\nb\""), "");
	EXPECT_EQ(email_of("[\"a\"]"), "");
	EXPECT_EQ(email_of("\"" + std::string(321, 'a') + "\""), "");
}

TEST(IdToken, IssuerPerTenant)
{
	const std::string tenant(samples::kTenant);
	const std::string issuer = "https://login.microsoftonline.com/" + tenant + "/v2.0";
	IdTokenExpected held = expected();
	held.issuer_per_tenant = true;
	held.issuer = "https://login.microsoftonline.com/common/v2.0";
	const auto token = [&](const std::string &iss, const std::string &tid) {
		return with("\"https://op.example\"", "\"" + iss + "\",\"tid\":\"" + tid + "\"");
	};
	EXPECT_EQ(fault_of(token(issuer, tenant), held), "");
	EXPECT_NE(fault_of(token(issuer, tenant), expected()), "");
	for (const auto &[iss, tid] : std::initializer_list<std::pair<std::string, std::string>>{
			 {issuer, ""},
			 {issuer, "00000000-0000-0000-0000-000000000000"},
			 {issuer + "/", tenant},
			 {"https://login.microsoftonline.com/common/v2.0", "common"},
			 {replaced(issuer, "login.", "login-"), tenant},
			 {replaced(issuer, "/v2.0", "/v1.0"), tenant},
			 {replaced(issuer, tenant, "9188040D" + tenant.substr(8)),
			  "9188040D" + tenant.substr(8)},
			 {"https://op.example", tenant}})
		EXPECT_NE(fault_of(token(iss, tid), held), "") << iss;
	EXPECT_NE(fault_of(with("https://op.example", issuer), held), "");
}
