#include "oauth/callback_flow.hpp"

#include <random>

#include <gtest/gtest.h>

#include "http/parameters.hpp"
#include "samples.hpp"

using namespace sidecar;
using namespace sidecar::oauth;
using samples::kState;

namespace
{

const std::string kCode = "code=a-code&state=" + std::string(kState);
const std::string kAnswer = R"({"access_token":"an access token","token_type":"bearer"})";
// What a step gave, or the end that it threw.
using Action = std::variant<ClaimAttempt, ProviderRequest, Grant, End>;

template <typename Step>
Action action_of(Step step)
{
	try {
		return step();
	} catch (End &end) {
		return std::move(end);
	}
}

const std::string kStart = "https://app.example/settings?tab=1&oauth=";

// A callback with all that it stands in, for tests to change.
struct Case {
	Case() : provider(samples::provider()), attempt(samples::claimed_attempt())
	{
		endpoints = provider.endpoints;
	}

	CallbackFlow &flow()
	{
		if (!flow_)
			flow_.emplace(CallbackFlow::Config{samples::kPublicUrl, origins, provider, endpoints});
		return *flow_;
	}
	Action start(std::string_view query)
	{
		return action_of(
			[&] { return flow().start(query, http::FlowCookies::parse(cookie, false)); });
	}
	// Up to what follows the claim.
	Action claim(std::string_view query)
	{
		const Action action = start(query);
		EXPECT_TRUE(std::holds_alternative<ClaimAttempt>(action)) << query;
		return claimed();
	}
	Action claimed()
	{
		return action_of([this] { return flow().claimed(std::move(attempt)); });
	}
	Action answered(const ProviderAnswer &answer)
	{
		return action_of([&] { return flow().answered(answer, samples::kNow); });
	}
	// Up to what follows the answer.
	Action answer(const ProviderAnswer &answer)
	{
		const Action action = claim(kCode);
		EXPECT_TRUE(std::holds_alternative<ProviderRequest>(action));
		return answered(answer);
	}
	Action store(StoreResult::Kind kind, std::string_view code = "")
	{
		const Action action = answer(samples::answer(200, kAnswer));
		EXPECT_TRUE(std::holds_alternative<Grant>(action));
		return flow().stored({kind, common::Secret(code)});
	}

	Provider provider;
	std::vector<std::string> origins = {"https://app.example"};
	std::optional<ProviderEndpoints> endpoints;
	ClaimedAttempt attempt;
	std::string cookie = samples::cookie(kState);

private:
	std::optional<CallbackFlow> flow_;
};

void expect_end(const Action &action, Outcome outcome, std::string_view reason)
{
	const End *end = std::get_if<End>(&action);
	ASSERT_NE(end, nullptr) << action.index() << " instead of: " << reason;
	EXPECT_EQ(name_of(end->outcome), name_of(outcome)) << end->reason;
	EXPECT_EQ(end->reason, reason);
	if (outcome == Outcome::no_attempt) {
		EXPECT_EQ(end->location, "");
	} else if (outcome != Outcome::connected && outcome != Outcome::confirm) {
		EXPECT_EQ(end->location, kStart + "failed&oauth_error=" + std::string(name_of(outcome)) +
									 "&oauth_provider=op.work#top");
	}
}

// What follows the claim of a callback with these parameters.
void expect_after_claim(Case &callback, const std::string &parameters, std::string_view reason)
{
	const Action action = callback.claim(kCode + parameters);
	const bool goes_on = std::holds_alternative<ProviderRequest>(action);
	EXPECT_EQ(goes_on, reason.empty()) << parameters << ": " << reason;
	if (!goes_on)
		expect_end(action, Outcome::provider_error, reason);
}

constexpr std::string_view kWrong = "iss is not the attempt's issuer";
constexpr std::string_view kMissing = "iss is missing";
const std::string kIss = "&iss=https%3A%2F%2Fop.example";

} // namespace

TEST(CallbackFlow, Connects)
{
	Case callback;
	const Action first = callback.start(kCode);
	const ClaimAttempt &claim = std::get<ClaimAttempt>(first);
	EXPECT_EQ(claim.state_hash, common::sha256(kState));
	EXPECT_EQ(claim.browser_hash, common::sha256(samples::kBrowserSecret));
	EXPECT_EQ(claim.provider, "op");
	EXPECT_EQ(callback.flow().state(), kState);

	const Action second = callback.claimed();
	const ProviderRequest &request = std::get<ProviderRequest>(second);
	EXPECT_EQ(request.url, samples::kTokenEndpoint);
	EXPECT_EQ(request.body.reveal(),
			  "grant_type=authorization_code&code=a-code&redirect_uri="
			  "https%3A%2F%2Fconnect.example%2Fbase%2Foauth%2Fop%2Fcallback&code_verifier=" +
				  std::string(samples::kVerifier));

	EXPECT_EQ(callback.flow().attempt()->ticket_hash, samples::claimed_attempt().ticket_hash);
	const Action third = callback.answered(samples::answer(200, kAnswer));
	const Grant &grant = std::get<Grant>(third);
	EXPECT_EQ(grant.access_token.reveal(), "an access token");
	EXPECT_EQ(grant.scopes, "calendar");

	const Action last = callback.flow().stored({StoreResult::Kind::connected, common::Secret()});
	expect_end(last, Outcome::connected, "");
	EXPECT_EQ(std::get<End>(last).location, kStart + "connected&oauth_provider=op.work#top");
	EXPECT_EQ(callback.flow().attempt()->link.identity.actor_id, "alice");
}

TEST(CallbackFlow, Stored)
{
	using Kind = StoreResult::Kind;
	const Action confirm = Case().store(Kind::confirm, "the-flow");
	expect_end(confirm, Outcome::confirm, "");
	EXPECT_EQ(std::get<End>(confirm).location,
			  kStart + "confirm&oauth_provider=op.work&oauth_flow=the-flow#top");
	expect_end(Case().store(Kind::expired), Outcome::expired,
			   "the link was used or has expired meanwhile");
	expect_end(Case().store(Kind::unavailable), Outcome::unavailable,
			   "the grant could not be stored");
}

// F10, F12: refused before anything is claimed.
TEST(CallbackFlow, Malformed)
{
	const std::string state = "state=" + std::string(kState);
	const std::pair<std::string, std::string_view> queries[] = {
		{"", "state is missing or malformed"},
		{"code=a", "state is missing or malformed"},
		{"code=a&state=", "state is missing or malformed"},
		{"code=a&state=short", "state is missing or malformed"},
		{"code=a&" + state + "x", "state is missing or malformed"},
		{"code=a&" + state.substr(0, state.size() - 1), "state is missing or malformed"},
		{"code=a&" + state.substr(0, state.size() - 1) + "%3D", "state is missing or malformed"},
		{"code=a&State=" + std::string(kState), "state is missing or malformed"},
		{state, "not exactly one of code and error came"},
		{state + "&code=a&error=b", "not exactly one of code and error came"},
		{state + "&code=&error=", "not exactly one of code and error came"},
		{state + "&code=", "code or error is empty"},
		{state + "&code", "code or error is empty"},
		{state + "&error=", "code or error is empty"},
		{state + "&code=a+b", "the code is too long or not visible ASCII"},
		{state + "&code=%C3%A9", "the code is too long or not visible ASCII"},
		{state + "&code=" + std::string(4097, 'c'), "the code is too long or not visible ASCII"},
		{kCode + "&code=a", "the query is malformed"},
		{kCode + "&code=b", "the query is malformed"},
		{kCode + "&" + state, "the query is malformed"},
		{kCode + "&iss=a&iss=a", "the query is malformed"},
		{kCode + "&error=a&error=a", "the query is malformed"},
		{kCode + "&scope=a&scope=a", "the query is malformed"},
		{kCode + "&error_description=a&error_description=a", "the query is malformed"},
		{kCode + "&iss=%00", "the query is malformed"},
		{kCode + "&scope=%0d%0a", "the query is malformed"},
		{kCode + "&scope=%ff", "the query is malformed"},
		{kCode + "&iss=%", "the query is malformed"},
		{kCode + "&x=" + std::string(8192, 'x'), "the query is too long"},
	};
	for (const auto &[query, reason] : queries)
		expect_end(Case().start(query), Outcome::no_attempt, reason);
	EXPECT_TRUE(std::holds_alternative<ClaimAttempt>(
		Case().start(state + "&code=" + std::string(4096, 'c'))));
	Case extra;
	extra.provider.callback_extra = {"shop"};
	expect_end(extra.start(kCode + "&shop=a&shop=a"), Outcome::no_attempt,
			   "the query is malformed");
}

// What nobody reads may be anything, and what people read too; empty is as good as absent.
TEST(CallbackFlow, Lenient)
{
	for (const auto *more : {"&x=1&x=2", "&x=%00", "&x=%0d%0a", "&x=%ff", "&x=%", "&%zz=1",
							 "&error=", "&error_description=%0d%0a%ff%", "&error_description="})
		EXPECT_TRUE(std::holds_alternative<ClaimAttempt>(Case().start(kCode + more))) << more;
	expect_end(Case().claim("code=&error=access_denied&state=" + std::string(kState)),
			   Outcome::access_denied, "the provider answered access_denied");
}

// F1
TEST(CallbackFlow, NoCookie)
{
	const std::string cookies[] = {
		"",
		samples::cookie(samples::kBrowserSecret),
		samples::cookie(kState, ""),
		samples::cookie(kState, "short"),
		samples::cookie(kState, samples::kBrowserSecret, 1000, "oauth-"),
		samples::cookie(kState) + "; " + samples::cookie(kState, samples::kNonce),
	};
	for (const std::string &cookie : cookies) {
		Case callback;
		callback.cookie = cookie;
		expect_end(callback.start(kCode), Outcome::no_attempt, "no cookie of this attempt came");
	}
}

TEST(CallbackFlow, NotClaimed)
{
	Case callback;
	ASSERT_TRUE(std::holds_alternative<ClaimAttempt>(callback.start(kCode + "&iss=https://evil")));
	expect_end(action_of([&] { return callback.flow().claimed(std::nullopt); }),
			   Outcome::no_attempt, "no attempt with this state and browser is open");
}

// F3: what comes must be right, and must come where it is promised or required.
TEST(CallbackFlow, Issuer)
{
	struct {
		bool promised;
		std::optional<bool> required;
		std::string_view when_missing;
	} const rows[] = {{false, {}, ""},        {true, {}, kMissing}, {false, true, kMissing},
					  {true, true, kMissing}, {false, false, ""},   {true, false, ""}};
	for (const auto &row : rows) {
		const auto expect = [&](const std::string &parameters, std::string_view reason) {
			Case callback;
			callback.endpoints->iss_promised = row.promised;
			callback.provider.require_iss = row.required;
			expect_after_claim(callback, parameters, reason);
		};
		expect("", row.when_missing);
		expect(kIss, "");
		for (const auto *wrong :
			 {"", "https://op.example/", "https://OP.example", "HTTPS://op.example", "op.example",
			  "http://op.example", "https://op.example:443", "https://evil.example",
			  "https://op.example ", "https%253A%252F%252Fop.example"})
			expect("&iss=" + std::string(wrong), kWrong);
	}
}

// On errors, too: an error from elsewhere must not end the attempt as the provider's.
TEST(CallbackFlow, IssuerOfErrors)
{
	const std::string error = "error=access_denied&state=" + std::string(kState);
	Case wrong;
	expect_end(wrong.claim(error + "&iss=https://evil"), Outcome::provider_error, kWrong);
	Case missing;
	missing.endpoints->iss_promised = true;
	expect_end(missing.claim(error), Outcome::provider_error, kMissing);
	Case right;
	right.endpoints->iss_promised = true;
	expect_end(right.claim(error + kIss), Outcome::access_denied,
			   "the provider answered access_denied");
}

TEST(CallbackFlow, NoIssuerKnown)
{
	Case silent;
	silent.attempt.issuer.clear();
	expect_after_claim(silent, "", "");
	for (const auto *iss : {"", "https://op.example"}) {
		Case callback;
		callback.attempt.issuer.clear();
		expect_after_claim(callback, "&iss=" + std::string(iss), "");
		EXPECT_EQ(callback.flow().ignored_issuer(), iss);
		Case required;
		required.attempt.issuer.clear();
		required.provider.require_iss = true;
		expect_after_claim(required, "&iss=" + std::string(iss),
						   "iss came, and no issuer is configured");
	}
	Case required;
	required.attempt.issuer.clear();
	required.provider.require_iss = true;
	expect_after_claim(required, "", kMissing);
}

TEST(CallbackFlow, IssuerPerTenant)
{
	const std::string start = "&iss=https://login.microsoftonline.com/";
	const std::string tenant(samples::kTenant);
	const std::pair<std::string, std::string_view> issuers[] = {
		{"", ""},
		{start + tenant + "/v2.0", ""},
		{start + "common/v2.0", kWrong},
		{start + "{tenantid}/v2.0", kWrong},
		{start + tenant + "/v2.0/", kWrong},
		{start + tenant + "x/v2.0", kWrong},
		{start + tenant.substr(1) + "/v2.0", kWrong},
		{start + tenant, kWrong},
		{"&iss=https://login.evil.example/" + tenant + "/v2.0", kWrong},
		{kIss, kWrong},
	};
	for (const auto &[iss, reason] : issuers) {
		Case callback;
		callback.provider.issuer_per_tenant = true;
		callback.attempt.issuer.clear();
		expect_after_claim(callback, iss, reason);
	}
}

// Whether an iss is promised cannot be known without metadata.
TEST(CallbackFlow, NoMetadata)
{
	const auto action = [](const std::string &parameters, std::optional<bool> required,
						   bool discovers) {
		Case callback;
		callback.provider.token_auth_is_set = true;
		callback.endpoints.reset();
		callback.provider.discovers = discovers;
		callback.provider.require_iss = required;
		return callback.claim(kCode + parameters);
	};
	expect_end(action("", {}, true), Outcome::unavailable,
			   "the provider's metadata cannot be read");
	expect_end(action("", true, true), Outcome::provider_error, kMissing);
	expect_end(action("&iss=x", {}, true), Outcome::provider_error, kWrong);
	EXPECT_TRUE(std::holds_alternative<ProviderRequest>(action("", false, true)));
	EXPECT_TRUE(std::holds_alternative<ProviderRequest>(action(kIss, {}, true)));
	EXPECT_TRUE(std::holds_alternative<ProviderRequest>(action("", {}, false)));

	// Nor how the client proves itself: then nothing is claimed, and no code is spent.
	Case unknown;
	unknown.endpoints.reset();
	unknown.provider.discovers = true;
	const Action ended = unknown.start(kCode + kIss);
	EXPECT_EQ(std::get<End>(ended).outcome, Outcome::unavailable);
	EXPECT_EQ(std::get<End>(ended).location, "");
}

TEST(CallbackFlow, ProviderErrors)
{
	const std::pair<std::string, Outcome> errors[] = {
		{"access_denied", Outcome::access_denied},
		{"consent_required", Outcome::provider_error},
		{"server_error", Outcome::unavailable},
		{"temporarily_unavailable", Outcome::unavailable},
		{"invalid_scope", Outcome::provider_error},
		{"unauthorized_client", Outcome::provider_error},
		{"login_required", Outcome::provider_error},
	};
	for (const auto &[error, outcome] : errors)
		expect_end(Case().claim("state=" + std::string(kState) + "&error=" + error), outcome,
				   "the provider answered " + error);
	// F7: nothing of it is echoed.
	const Action action = Case().claim("state=" + std::string(kState) +
									   "&error=%3Cscript%3E&error_description=sentinel");
	expect_end(action, Outcome::provider_error, "the provider answered an error of its own");
}

// F18: the record decides where the secret goes, and must be sound itself.
TEST(CallbackFlow, Record)
{
	Case client;
	client.attempt.client_id = "another";
	expect_end(client.claim(kCode), Outcome::unavailable,
			   "the client_id was changed during the attempt");
	for (const auto *endpoint : {"", "http://op.example/token", "op.example"}) {
		Case callback;
		callback.attempt.token_endpoint = endpoint;
		expect_end(callback.claim(kCode), Outcome::provider_error,
				   "the recorded token endpoint is no endpoint");
	}
	Case moved;
	moved.provider.endpoints.token = moved.endpoints->token = "https://new.example/token";
	const Action action =
		moved.claim(kCode + "&token_endpoint=https://evil&accounts-server=https://evil");
	EXPECT_EQ(std::get<ProviderRequest>(action).url, samples::kTokenEndpoint);

	Case other;
	ASSERT_TRUE(std::holds_alternative<ClaimAttempt>(other.start(kCode)));
	other.attempt.link.identity.provider = "other";
	other.attempt.link.return_to.reset();
	const Action ended = other.claimed();
	EXPECT_EQ(std::get<End>(ended).reason, "the attempt belongs to another provider");
}

TEST(CallbackFlow, Answers)
{
	expect_end(Case().answer(samples::answer(503, "")), Outcome::unavailable,
			   "the token endpoint is not available");
	expect_end(Case().answer(samples::answer(400, R"({"error":"invalid_grant"})")),
			   Outcome::provider_error, "the provider answered invalid_grant");
	expect_end(Case().answer(samples::answer(200, "{}")), Outcome::provider_error,
			   "the token answer has no access token");
}

TEST(CallbackFlow, IdTokenOfTheAttempt)
{
	Case callback;
	callback.attempt.link.scopes = "openid";
	const std::string good = samples::replaced(
		kAnswer, "}", ",\"id_token\":\"" + samples::id_token(samples::claims()) + "\"}");
	const Action store = callback.answer(samples::answer(200, good));
	EXPECT_NE(std::get<Grant>(store).details.find("alice-at-op"), std::string::npos);
	Case other;
	other.attempt.link.scopes = "openid";
	other.attempt.nonce = common::Secret(samples::kVerifier);
	expect_end(other.answer(samples::answer(200, good)), Outcome::provider_error,
			   "the ID token's nonce is not this attempt's");
}

TEST(CallbackFlow, CallbackExtra)
{
	Case callback;
	callback.provider.callback_extra = {"realmId", "code", "state", "absent"};
	const Action exchange = callback.claim(kCode + "&realmId=42&other=1");
	ASSERT_TRUE(std::holds_alternative<ProviderRequest>(exchange));
	const Action store = callback.answered(samples::answer(200, kAnswer));
	EXPECT_EQ(std::get<Grant>(store).details, R"({"client_id":"client","extra":{"realmId":"42"}})");
}

// F6
TEST(CallbackFlow, ReturnToIsCheckedAgain)
{
	Case callback;
	callback.origins = {"https://elsewhere.example"};
	const Action action = callback.store(StoreResult::Kind::connected);
	EXPECT_EQ(std::get<End>(action).location,
			  "https://connect.example/base/oauth/op/done?oauth=connected&oauth_provider=op.work");
}

TEST(CallbackFlow, Failed)
{
	Case before;
	ASSERT_TRUE(std::holds_alternative<ClaimAttempt>(before.start(kCode)));
	const Action unknown = before.flow().failed("the database is away");
	EXPECT_EQ(std::get<End>(unknown).location, "");
	EXPECT_EQ(std::get<End>(unknown).outcome, Outcome::unavailable);
	Case after;
	ASSERT_TRUE(std::holds_alternative<ProviderRequest>(after.claim(kCode)));
	expect_end(after.flow().failed("time is up"), Outcome::unavailable, "time is up");
}

// Whatever the query: at first there is nothing but a claim or an end.
TEST(CallbackFlow, AnyQuery)
{
	const std::string pieces[] = {"code=",
								  "a",
								  "&",
								  "state=",
								  std::string(kState),
								  "error=",
								  "%",
								  "%00",
								  "=",
								  "iss=",
								  "https://op.example",
								  "+",
								  "\xff",
								  "%C3",
								  "x",
								  "code",
								  "&state=" + std::string(kState),
								  "&code=c",
								  "%3D",
								  "\n",
								  ";",
								  "#"};
	std::mt19937 random(1);
	int claims = 0;
	for (int round = 0; round < 50000; round++) {
		std::string query;
		for (auto count = random() % 8; count > 0; count--)
			query += pieces[random() % std::size(pieces)];
		Case callback;
		const Action action = callback.start(query);
		ASSERT_FALSE(std::holds_alternative<ProviderRequest>(action)) << query;
		ASSERT_FALSE(std::holds_alternative<Grant>(action)) << query;
		if (std::holds_alternative<ClaimAttempt>(action)) {
			const auto parsed =
				http::Parameters::parse_only(query, {{"code", "state", "error"}, {}});
			ASSERT_EQ(parsed.get("state"), kState) << query;
			ASSERT_NE(parsed.get("code").value_or("").empty(),
					  parsed.get("error").value_or("").empty())
				<< query;
			claims++;
		}
	}
	EXPECT_GT(claims, 100);
}
