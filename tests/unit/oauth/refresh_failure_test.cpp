// What documented answers mean is in sidecar_settings/refresh_answers_test.cpp.
#include "oauth/refresh_failure.hpp"

#include <gtest/gtest.h>

#include "oauth/client_request.hpp"
#include "oauth/refresh_rules.hpp"
#include "samples.hpp"

using namespace sidecar;
using namespace sidecar::oauth;
using enum FailureKind;
using Failure = ProviderAnswer::Failure;
using std::chrono::seconds;

namespace
{

constexpr std::string_view kToken = "1//0gRefreshTokenOfAlice-0123456789";

struct Case {
	RefreshFailure of(const ProviderAnswer &answer) const
	{
		const auto read = read_refresh_answer(provider, stored, answer, samples::kNow);
		return refresh_failure({provider, stored, kToken, samples::kNow}, answer,
							   std::get<NoGrant>(read));
	}
	FailureKind kind(int status, std::string_view body) const
	{
		ProviderAnswer answer = samples::answer(status, body);
		answer.was_sent = true;
		return of(answer).kind;
	}

	Provider provider = samples::provider();
	StoredGrant stored;
};

} // namespace

// T5, T12: what was not sent changes nothing; of what was, nobody knows.
TEST(RefreshFailure, WithoutAnAnswer)
{
	for (const Failure failure : {Failure::resolve, Failure::connect, Failure::tls,
								  Failure::timeout, Failure::too_large, Failure::broken})
		for (const bool was_sent : {false, true}) {
			ProviderAnswer answer;
			answer.failure = failure;
			answer.was_sent = was_sent;
			const RefreshFailure found = Case().of(answer);
			EXPECT_EQ(found.kind, was_sent ? no_answer : transient);
			EXPECT_FALSE(found.reason.empty());
			EXPECT_EQ(found.detail(), found.reason);
			EXPECT_FALSE(found.retry_after);
		}
}

// What libcurl says reaches the log and the state: "TLS is not accepted" alone helps nobody.
TEST(RefreshFailure, TellsWhyThereIsNoAnswer)
{
	ProviderAnswer answer;
	answer.failure = Failure::tls;
	answer.detail = "SSL certificate problem: certificate has expired";
	const RefreshFailure found = Case().of(answer);
	EXPECT_EQ(found.words.description, answer.detail);
	EXPECT_EQ(found.detail(), std::string(found.reason) + ": " + answer.detail);
}

// Vendors write French in Latin-1, and cut texts in the middle of a pair.
TEST(RefreshFailure, CodesBesideBadCharacters)
{
	const Case op;
	EXPECT_EQ(op.kind(400, "{\"error\":\"invalid_grant\",\"error_description\":\"expir\xe9\"}"),
			  dead_grant);
	EXPECT_EQ(op.kind(400, R"({"error":"invalid_grant","error_description":"\ud83d"})"),
			  dead_grant);
	EXPECT_EQ(op.kind(400, R"({"error":"invalid_grant","x":1,"x":2})"), dead_grant);
	EXPECT_EQ(op.kind(400, R"({"error":" invalid_grant\n"})"), dead_grant);
}

// Of a refusal without a body, what its headers say; of a page that is no answer, what it is.
TEST(RefreshFailure, WordsBesideTheBody)
{
	ProviderAnswer moved = samples::answer(308, "");
	moved.detail = "Location: https://op.example/v2/token";
	EXPECT_EQ(Case().of(moved).detail(),
			  "HTTP 308, the token endpoint's status is none of a token answer: " + moved.detail);
	ProviderAnswer refused = samples::answer(401, "");
	refused.detail = "WWW-Authenticate: Bearer error=\"invalid_token\", for " + std::string(kToken);
	EXPECT_EQ(Case().of(refused).detail(),
			  "HTTP 401, WWW-Authenticate: Bearer error=\"invalid_token\", for [removed]");
	EXPECT_EQ(Case().of(samples::answer(401, R"({"error":"invalid_client"})")).detail(),
			  "HTTP 401, invalid_client");
	const RefreshFailure page = Case().of(samples::answer(200, "<p>hello", "text/html"));
	EXPECT_EQ(page.words.description, "text/html, 8 bytes");
}

// What this host did not do tells nothing of provider and client.
TEST(RefreshFailure, WithoutARequest)
{
	for (const Failure failure : {Failure::busy, Failure::too_late}) {
		ProviderAnswer answer;
		answer.failure = failure;
		EXPECT_EQ(Case().of(answer).kind, not_sent);
	}
}

TEST(RefreshFailure, OfAnotherAccount)
{
	Case op;
	op.stored.issuer = samples::kIssuer;
	op.stored.account_id = "bob";
	const std::string body =
		R"({"access_token":"a","id_token":")" + samples::id_token(samples::claims()) + "\"}";
	EXPECT_EQ(op.kind(200, body), needs_interaction);
	// The account's own rules come after it: no setting mixes two accounts.
	op.provider.failures = {{"*", transient}};
	EXPECT_EQ(op.kind(200, body), needs_interaction);
}

// The grant was made by another client than the one that is configured now.
TEST(RefreshFailure, OfAnotherClient)
{
	Case op;
	const std::string body = R"({"error":"invalid_grant"})";
	EXPECT_EQ(op.kind(400, body), dead_grant);
	op.stored.client_id = "client";
	EXPECT_EQ(op.kind(400, body), dead_grant);
	op.stored.client_id = "Client";
	EXPECT_EQ(op.kind(400, body), client_config);
}

TEST(RefreshFailure, OwnRulesComeFirst)
{
	Case op;
	const std::string locked = R"({"error":"invalid_grant","error_description":"User is LOCKED."})";
	op.provider.failures = {{"invalid_grant", transient},
							{"Invalid_Grant: user is locked", needs_interaction},
							{"5xx", no_answer},
							{"403: (no code)", client_config},
							{"418", dead_grant}};
	EXPECT_EQ(op.kind(400, locked), needs_interaction); // the one with words
	EXPECT_EQ(op.kind(400, R"({"error":"invalid_grant"})"), transient);
	EXPECT_EQ(op.kind(504, ""), no_answer);
	EXPECT_EQ(op.kind(403, "go away"), client_config);
	EXPECT_EQ(op.kind(403, R"({"error":"forbidden"})"), transient);
	EXPECT_EQ(op.kind(418, ""), dead_grant);
	EXPECT_EQ(op.kind(400, R"({"error":"invalid_client"})"), client_config); // as for all
	op.provider.failures = {{"*", needs_interaction}};
	EXPECT_EQ(op.kind(503, ""), needs_interaction);
}

// Words are whole words, in codes, descriptions and name=value.
TEST(RefreshFailure, Words)
{
	Case op;
	const auto matches = [&](std::string_view match, std::string_view body) {
		op.provider.failures = {{std::string(match), needs_interaction}};
		return op.kind(400, body) == needs_interaction;
	};
	const std::string_view body =
		R"({"error":"x","code":42,"message":"Token 4242 is spent: see a/b."})";
	for (const char *match : {"x: spent", "x: is spent", "*: token 4242", "x: a/b", "42: x",
							  "x: code=42", "X: 42", "x: error=x", "x: see a/b."})
		EXPECT_TRUE(matches(match, body)) << match;
	for (const char *match : {"x: spen", "x: pent", "x: 424", "x: ode=42", "y: spent", "x: spent.",
							  "4: spent", "x: token=4242"})
		EXPECT_FALSE(matches(match, body)) << match;
}

// Nothing that is unknown ends a grant.
TEST(RefreshFailure, UnknownIsNeverDead)
{
	for (const int status : {200, 201, 204, 301, 307, 400, 402, 403, 404, 405, 409, 410, 422, 500})
		for (const char *body :
			 {"", "{}", "[]", "null", "\"x\"", "<p>invalid grant</p>",
			  R"({"error":"invalid_request"})", R"({"error":"invalid_scope"})",
			  R"({"error":"expired"})", R"({"error":{}})", R"({"error":["invalid_grants"]})",
			  R"({"message":"invalid_grant"})",
			  R"({"error":"invalid_request","error_description":"invalid_grant"})",
			  R"({"access_token":7})", R"({"error":"invalid_grant","error":"x"})"}) {
			const FailureKind kind = Case().kind(status, body);
			EXPECT_TRUE(kind == transient || kind == no_answer) << status << body;
		}
}

// C10: what providers echo.
TEST(RefreshFailure, TellsNoSecret)
{
	Case op;
	op.provider.client_secret = common::Secret("GOCSPX-secret-of-the-client");
	const std::string basic(basic_credentials(op.provider).reveal());
	ProviderAnswer answer =
		samples::answer(400, R"({"error":"invalid_grant","error_description":"no )" +
								 std::string(kToken) + " of GOCSPX-secret-of-the-client " + basic +
								 R"(","refresh_token":"another-one-0123"})");
	const RefreshFailure failure = op.of(answer);
	EXPECT_EQ(failure.kind, dead_grant);
	EXPECT_EQ(failure.words.code, "invalid_grant");
	for (const std::string_view secret :
		 {kToken, std::string_view("secret-of-the-client"), std::string_view(basic)})
		EXPECT_EQ(failure.detail().find(secret), std::string::npos);
	// A code decides also where it is hidden from people.
	op.provider.client_secret = common::Secret("my-invalid_grant-secret");
	EXPECT_EQ(op.kind(400, R"({"error":"invalid_grant"})"), dead_grant);
}

TEST(RefreshFailure, DetailIsBounded)
{
	std::string many;
	for (int i = 0; i < 2000; i++)
		many += "é ";
	const std::string detail =
		Case()
			.of(samples::answer(400, R"({"error":"x)" + many + R"(","error_description":")" + many +
										 "\"}"))
			.detail();
	EXPECT_LE(detail.size(), kMaxFailureDetailBytes);
	EXPECT_GT(detail.size(), kMaxFailureDetailBytes - 4);
	EXPECT_TRUE(detail.starts_with("HTTP 400, xé"));
	EXPECT_NE(static_cast<unsigned char>(detail.back()), 0xc3); // half a character
}

TEST(RefreshFailure, RetryAfter)
{
	const std::pair<const char *, std::optional<seconds>> cases[] = {
		{"", std::nullopt},
		{"0", std::nullopt},
		{"1", seconds(1)},
		{" 120 ", seconds(120)},
		{"86401", kMaxRetryAfter},
		{"99999999999999999999", kMaxRetryAfter},
		{"-5", std::nullopt},
		{"1.5", std::nullopt},
		{"soon", std::nullopt},
		{"120; x", std::nullopt},
		{"Fri, 15 Jan 2027 08:00:10 GMT", seconds(10)},
		{"Friday, 15-Jan-27 08:00:10 GMT", seconds(10)},
		{"Fri Jan 15 08:00:10 2027", seconds(10)},
		{"Fri, 15 Jan 2027 07:59:59 GMT", std::nullopt},
		{"Fri, 15 Jan 2027 08:00:10 GMT and more", std::nullopt},
		{"Sat, 15 Jan 2028 08:00:10 GMT", kMaxRetryAfter}};
	for (const auto &[value, wanted] : cases)
		EXPECT_EQ(read_retry_after(value, samples::kNow), wanted) << value;
	EXPECT_FALSE(read_retry_after(std::string(100'000, '1'), samples::kNow));
	ProviderAnswer answer = samples::answer(429, "");
	answer.retry_after = "30";
	EXPECT_EQ(Case().of(answer).retry_after, seconds(30));
}

TEST(FailureRule, Names)
{
	for (const FailureKind kind :
		 {transient, no_answer, dead_grant, needs_interaction, client_config})
		EXPECT_EQ(failure_kind_of(name_of(kind)), kind);
	EXPECT_FALSE(failure_kind_of(name_of(not_sent))); // no provider answers it
	EXPECT_FALSE(failure_kind_of("dead"));
	EXPECT_FALSE(failure_kind_of(""));
	for (const char *good : {"x", "403", "5xx", "*", "x: y", "BAD_REFRESH_TOKEN", "a b", "x: a: b"})
		EXPECT_TRUE(is_failure_match(good)) << good;
	for (const char *bad : {"", " ", "x:", "x: ", ": y", " x", "x ", "x\n", "x: y "})
		EXPECT_FALSE(is_failure_match(bad)) << bad;
}

TEST(RefreshRules, Published)
{
	std::map<std::string, Provider, std::less<>> providers;
	EXPECT_EQ(refresh_rules(providers), "{}");
	using Kind = Rotation::Kind;
	const std::pair<Rotation, const char *> rotations[] = {
		{{Kind::none, seconds(0)}, "none"},
		{{Kind::strict, seconds(0)}, "strict"},
		{{Kind::until_used, seconds(0)}, "until_used"},
		{{Kind::automatic, seconds(0)}, "auto"},
		{{Kind::grace, seconds(60)}, "grace:60"}};
	for (const auto &[rotation, text] : rotations)
		EXPECT_EQ(rotation_text(rotation), text);
	providers["a"] = samples::provider();
	providers["b"] = samples::provider();
	providers["b"].rotation = {Kind::grace, seconds(600)};
	providers["b"].refresh_kills_access = true;
	providers["b"].keep_alive = seconds(7776000);
	providers["b"].refreshes_per_second = 50;
	providers["a"].refresh_ahead = seconds(300);
	EXPECT_EQ(
		refresh_rules(providers),
		R"({"a":{"rotation":"strict","refresh_kills_access":false,"refresh_ahead":300,)"
		R"("keep_alive":0,"refreshes_per_second":5},"b":{"rotation":"grace:600","refresh_kills_access":true,)"
		R"("refresh_ahead":0,"keep_alive":7776000,"refreshes_per_second":50}})");
}
