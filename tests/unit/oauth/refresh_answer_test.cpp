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

const std::string kDetails = R"({"account_id":"alice-at-op","issuer":"https://op.example",)"
							 R"("client_id":"client","extra":{"realmId":"7","a":1}})";

struct Case {
	std::variant<Grant, NoGrant> read(const ProviderAnswer &answer) const
	{
		return read_refresh_answer(provider, stored, answer, kNow);
	}
	Grant grant(std::string_view body) const
	{
		return std::get<Grant>(read(samples::answer(200, body)));
	}
	// "" where there is a grant.
	std::string_view fault(std::string_view body) const
	{
		const auto read = this->read(samples::answer(200, body));
		const auto *no_grant = std::get_if<NoGrant>(&read);
		return no_grant ? no_grant->reason : "";
	}
	boost::json::object details(std::string_view body) const
	{
		return boost::json::parse(grant(body).details).as_object();
	}

	Provider provider = samples::provider();
	StoredGrant stored = read_stored_grant("openid calendar", kDetails);
};

std::string with_id_token(const std::string &claims)
{
	return R"({"access_token":"a","id_token":")" + samples::id_token(claims) + "\"}";
}

// As they come with a refresh: without a nonce.
std::string claims()
{
	return replaced(samples::claims(), "\"nonce\":\"" + std::string(samples::kNonce) + "\",", "");
}

} // namespace

TEST(StoredGrant, Reads)
{
	const StoredGrant stored = read_stored_grant("a b", kDetails);
	EXPECT_EQ(stored.scopes, "a b");
	EXPECT_EQ(stored.issuer, "https://op.example");
	EXPECT_EQ(stored.account_id, "alice-at-op");
	EXPECT_EQ(stored.client_id, "client");
	EXPECT_EQ(stored.extra.size(), 2u);
	for (const char *odd : {"", "null", "[]", "{", R"({"issuer":7,"extra":[]})"}) {
		const StoredGrant unknown = read_stored_grant(std::nullopt, odd);
		EXPECT_FALSE(unknown.scopes);
		EXPECT_EQ(unknown.issuer + unknown.account_id + unknown.client_id, "");
		EXPECT_TRUE(unknown.extra.empty());
	}
}

// T1
TEST(RefreshAnswer, WhatIsMissingStays)
{
	const Grant grant = Case().grant(R"({"access_token":"a"})");
	EXPECT_EQ(grant.access_token.reveal(), "a");
	EXPECT_FALSE(grant.refresh_token);
	EXPECT_FALSE(grant.scopes);
	EXPECT_FALSE(grant.expires_in);
	EXPECT_FALSE(grant.refresh_expires_in);
	EXPECT_EQ(grant.details, "{}");
	EXPECT_TRUE(grant.warnings.empty());
	for (const char *nothing : {"null", "\"\"", "false"})
		EXPECT_FALSE(
			Case()
				.grant(R"({"access_token":"a","refresh_token":)" + std::string(nothing) + "}")
				.refresh_token);
	for (const char *nothing : {"null", "\"\"", "\" \"", "[]"})
		EXPECT_FALSE(
			Case().grant(R"({"access_token":"a","scope":)" + std::string(nothing) + "}").scopes);
}

TEST(RefreshAnswer, WhatIsThereReplaces)
{
	const Grant grant =
		Case().grant(R"({"access_token":"a","refresh_token":"r","scope":"calendar",)"
					 R"("expires_in":60})");
	EXPECT_EQ(grant.refresh_token->reveal(), "r");
	EXPECT_EQ(grant.scopes, "calendar");
	EXPECT_EQ(grant.expires_in, 60);
	EXPECT_EQ(grant.details, R"({"lifetime":60})");
	const Grant odd = Case().grant(R"({"access_token":"a","scope":7})");
	EXPECT_FALSE(odd.scopes); // what is stored is better than nothing
	EXPECT_EQ(odd.warnings.size(), 1u);
}

TEST(RefreshAnswer, IdToken)
{
	EXPECT_EQ(Case().fault(with_id_token(claims())), "");
	// There may be one, of whatever value.
	EXPECT_EQ(Case().fault(with_id_token(samples::claims())), "");
	EXPECT_EQ(Case().details(with_id_token(claims())),
			  (boost::json::object{{"account_label", "alice@example.org"}}));
	const std::pair<std::string, std::string_view> wrong[] = {
		{replaced(claims(), "alice-at-op", "bob-at-op"), "the ID token's sub is another account's"},
		{replaced(claims(), "\"sub\":\"alice-at-op\"", "\"x\":1"),
		 "the ID token's sub is missing or malformed"},
		{replaced(claims(), "https://op.example", "https://evil.example"),
		 "the ID token's iss is not the provider's"},
		{replaced(claims(), "https://op.example", "https://op.example/"),
		 "the ID token's iss is not the provider's"},
		{replaced(claims(), "\"aud\":\"client\"", "\"aud\":\"another\""),
		 "the ID token's aud is not this client"},
		{replaced(claims(), "\"aud\":\"client\"", "\"aud\":[\"client\",\"b\"],\"azp\":\"b\""),
		 "the ID token's azp is not this client"}};
	for (const auto &[token, fault] : wrong) {
		EXPECT_EQ(Case().fault(with_id_token(token)), fault);
		EXPECT_EQ(std::get<NoGrant>(Case().read(samples::answer(200, with_id_token(token)))).kind,
				  Kind::other_account);
	}
	for (const char *malformed : {"\"x\"", "7", "{}", "true"})
		EXPECT_EQ(Case().fault(R"({"access_token":"a","id_token":)" + std::string(malformed) + "}"),
				  "the ID token is malformed");
	for (const char *none : {"null", "\"\"", "false"})
		EXPECT_EQ(Case().fault(R"({"access_token":"a","id_token":)" + std::string(none) + "}"), "");
}

// Some answer with the first ID token again: its times do not cost a refresh token.
TEST(RefreshAnswer, OldIdToken)
{
	for (const auto &[from, to] :
		 {std::pair("1800000300", "1700000300"), std::pair("1799999990", "1700000000"),
		  std::pair("\"exp\":1800000300,", "")}) {
		const Grant grant = Case().grant(with_id_token(replaced(claims(), from, to)));
		EXPECT_EQ(grant.access_token.reveal(), "a");
		ASSERT_EQ(grant.warnings.size(), 1u);
		EXPECT_TRUE(grant.warnings[0].starts_with("id_token is out of date"));
	}
}

// Where none was believed before, there is nothing to hold one against.
TEST(RefreshAnswer, IdTokenOfAnUnknownIssuer)
{
	Case unknown;
	unknown.stored.issuer = "";
	EXPECT_EQ(unknown.fault(with_id_token(replaced(claims(), "alice-at-op", "bob"))), "");
	EXPECT_EQ(unknown.fault(R"({"access_token":"a","id_token":"x"})"), "");
	unknown.stored.account_id = "";
	EXPECT_EQ(unknown.details(with_id_token(claims())), boost::json::object());
	Case nobody;
	nobody.stored.account_id = "";
	EXPECT_EQ(nobody.details(with_id_token(claims())).at("account_id"), "alice-at-op");
	EXPECT_NE(nobody.fault(with_id_token(replaced(claims(), "op.example", "evil.example"))), "");
}

// The stored issuer is the tenant's own.
TEST(RefreshAnswer, Tenants)
{
	const std::string tenant(samples::kTenant);
	const std::string issuer = "https://login.microsoftonline.com/" + tenant + "/v2.0";
	Case microsoft;
	microsoft.provider.issuer_per_tenant = true;
	microsoft.stored.issuer = issuer;
	const auto of = [&](const std::string &iss) {
		return with_id_token(replaced(claims(), "https://op.example", iss));
	};
	EXPECT_EQ(microsoft.fault(of(issuer)), "");
	EXPECT_NE(microsoft.fault(of("https://login.microsoftonline.com/"
								 "00000000-6c67-4c5b-b112-36a304b66dad/v2.0")),
			  "");
}

TEST(RefreshAnswer, Details)
{
	Case op;
	op.provider.extra = {"a", "new"};
	op.provider.account_id_path = "who";
	op.provider.account_label_path = "name";
	// `extra` is replaced as a whole, so the callback's fields come along.
	EXPECT_EQ(
		op.details(R"({"access_token":"a","new":2,"who":"bob","name":"Al"})"),
		boost::json::parse(R"({"account_label":"Al","extra":{"realmId":"7","a":1,"new":2}})"));
	EXPECT_EQ(op.details(R"({"access_token":"a","a":1})"), boost::json::object());
	EXPECT_EQ(op.details(R"({"access_token":"a","a":3})"),
			  boost::json::parse(R"({"extra":{"realmId":"7","a":3}})"));
	// A grant that Python stored: now its client is known, and maybe its account.
	op.stored = read_stored_grant(std::nullopt, "{}");
	EXPECT_EQ(op.details(R"({"access_token":"a","who":"bob"})"),
			  boost::json::parse(R"({"account_id":"bob","client_id":"client"})"));
}

TEST(RefreshAnswer, QuirksOfFirstAnswers)
{
	Case op;
	EXPECT_EQ(std::get<NoGrant>(op.read(samples::answer(200, R"({"ok":false,"error":"x"})"))).kind,
			  Kind::refused);
	const auto form = op.read(samples::answer(200, "access_token=a&refresh_token=r&expires_in=60",
											  "application/x-www-form-urlencoded"));
	EXPECT_EQ(std::get<Grant>(form).refresh_token->reveal(), "r");
	op.provider.access_token_path = "authed_user.access_token";
	const Grant nested = op.grant(
		R"({"ok":true,"refresh_token":"bot","authed_user":{"access_token":"a",)"
		R"("refresh_token":"r","expires_in":"43200","scope":"x,y","refresh_expires_in":5}})");
	EXPECT_EQ(nested.access_token.reveal(), "a");
	EXPECT_EQ(nested.refresh_token->reveal(), "r");
	EXPECT_EQ(nested.expires_in, 43200);
	EXPECT_EQ(nested.refresh_expires_in, 5);
	EXPECT_EQ(nested.scopes, "x y");
	op.provider.access_token_path = "";
	op.provider.default_expires_in = 7200;
	EXPECT_EQ(op.grant(R"({"access_token":"a","expires_in":0})").expires_in, 7200);
	EXPECT_EQ(op.fault(R"({"access_token":"a","token_type":"DPoP"})"),
			  "the token's type needs a proof of possession, which we do not give");
}

// Of both kinds of answers, and as lenient as other lifetimes.
TEST(TokenAnswer, WhenTheGrantEnds)
{
	const std::pair<const char *, std::optional<int>> cases[] = {
		{R"("refresh_token_expires_in":86400)", 86400},
		{R"("refresh_token_expires_in":"86400")", 86400},
		{R"("refreshTokenExpiresIn":86400.5)", 86400},
		{R"("refresh_expires_in":1800)", 1800},
		{R"("x_refresh_token_expires_in":8726400)", 8726400},
		{R"("refresh_token_expires_in":1800003600)", 3600}, // a unix time
		{R"("refresh_token_expires_at":1800003600)", 3600},
		{R"("refresh_token_expires_at":"2027-01-15T09:00:00Z")", 3600},
		{R"("refresh_expires_in":0)", std::nullopt}, // Keycloak's "never"
		{R"("refresh_expires_in":"0")", std::nullopt},
		{R"("refresh_expires_in":null)", std::nullopt},
		{R"("refresh_expires_in":-1)", std::nullopt},
		{R"("refresh_expires_in":"soon")", std::nullopt},
		{R"("refresh_expires_in":1e300)", std::nullopt},
		{R"("refresh_expires_in":[],"refresh_token_expires_at":1800003600)", 3600},
		{R"("nested":{"refresh_expires_in":5})", std::nullopt}};
	const Pairs none;
	const std::vector<std::string> asked = {"a"};
	for (const auto &[member, seconds] : cases) {
		const std::string body = R"({"access_token":"a","refresh_token":"r","expires_in":60,)" +
								 std::string(member) + "}";
		const Grant refreshed = Case().grant(body);
		EXPECT_EQ(refreshed.refresh_expires_in, seconds) << member;
		EXPECT_EQ(refreshed.expires_in, 60) << member;
		EXPECT_EQ(refreshed.details, seconds ? R"({"lifetime":60,"refresh_expires_in":)" +
												   std::to_string(*seconds) + "}"
											 : R"({"lifetime":60})")
			<< member;
		const Provider provider = samples::provider();
		const auto first =
			read_token_answer({provider, samples::kIssuer, "client", "", asked, none, kNow},
							  samples::answer(200, body));
		EXPECT_EQ(std::get<Grant>(first).refresh_expires_in, seconds) << member;
	}
	EXPECT_EQ(Case().grant(R"({"access_token":"a","refresh_expires_in":"soon"})").warnings,
			  std::vector<std::string>{"refresh_expires_in is neither a number nor a time of "
									   "ISO 8601; when the grant ends is not known"});
	EXPECT_TRUE(Case().grant(R"({"access_token":"a","refresh_expires_in":0})").warnings.empty());
	// The settings' own is of a refresh token that came.
	Case op;
	op.provider.default_refresh_expires_in = 90;
	EXPECT_FALSE(op.grant(R"({"access_token":"a"})").refresh_expires_in);
	EXPECT_EQ(op.grant(R"({"access_token":"a","refresh_token":"r"})").refresh_expires_in, 90);
	EXPECT_EQ(op.grant(R"({"access_token":"a","refresh_token":"r","refresh_expires_in":7})")
				  .refresh_expires_in,
			  7);
}
