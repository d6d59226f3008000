// What a revocation endpoint is told, and what its answers mean (RFC 7009).
#include "oauth/revocation.hpp"

#include <gtest/gtest.h>

namespace sidecar::oauth
{

namespace
{

constexpr long long kNow = 1763803957;
using Kind = RevocationAnswer::Kind;

Provider a_provider()
{
	Provider provider;
	provider.name = "plain";
	provider.endpoints.token = "https://op.example/token";
	provider.endpoints.revocation = "https://op.example/revoke";
	provider.client_id = "app";
	provider.client_secret = common::Secret("a-secret-of-the-client");
	return provider;
}

RevocationAnswer read(int status, std::string_view body, std::string_view retry_after = {})
{
	ProviderAnswer answer;
	answer.status = status;
	answer.content_type = "application/json";
	answer.retry_after = retry_after;
	answer.body = common::Secret(body);
	return read_revocation_answer(a_provider(), "the-refresh-token", answer, kNow);
}

} // namespace

TEST(Revocation, AsksAtTheRevocationEndpoint)
{
	Provider provider = a_provider();
	provider.token_params = {{"token", "of the settings"}};
	const ProviderRequest request =
		revocation_request(provider, provider.endpoints, "a b", TokenHint::access_token);
	EXPECT_EQ(request.url, "https://op.example/revoke");
	EXPECT_EQ(request.kind, ProviderRequest::Kind::token); // follows no redirect
	EXPECT_EQ(request.body.reveal(), "token=a+b&token_type_hint=access_token");
	provider.token_auth = TokenAuth::post;
	EXPECT_EQ(revocation_request(provider, provider.endpoints, "t", TokenHint::refresh_token)
				  .body.reveal(),
			  "token=t&token_type_hint=refresh_token&client_id=app"
			  "&client_secret=a-secret-of-the-client");
}

TEST(Revocation, KnowsWhatIsDone)
{
	for (const char *body :
		 {"", "{}", "<html>", R"({"ok":true,"revoked":true})", R"({"error":null})"})
		for (const int status : {200, 204, 299})
			EXPECT_EQ(read(status, body).kind, Kind::done) << body;
	for (const char *body :
		 {R"({"error":"invalid_token"})", R"({"error":"invalid_grant"})",
		  "{\"error\":\"invalid_token\",\"error_description\":\"r\xe9voqu\xe9\"}"})
		EXPECT_EQ(read(400, body).kind, Kind::done) << body;
	for (const char *body : {"", "<html>", "{", R"({"error":"invalid_request"})"})
		EXPECT_EQ(read(400, body).kind, Kind::refused) << body;
	// Slack answers 200 to everything.
	EXPECT_EQ(read(200, R"({"ok":false,"error":"token_revoked"})").kind, Kind::done);
	EXPECT_EQ(read(200, R"({"ok":false,"error":"internal_error"})").kind, Kind::retry);
	EXPECT_EQ(read(200, R"({"error":"invalid_client"})").kind, Kind::retry);
	EXPECT_EQ(read(200, R"({"error":"unknown_method"})").kind, Kind::refused);
	EXPECT_EQ(read(200, R"({"error":"unknown_method"})").words.code, "unknown_method");
	// Whatever else came, it said 200.
	ProviderAnswer large;
	large.failure = ProviderAnswer::Failure::too_large;
	large.status = 200;
	EXPECT_EQ(read_revocation_answer(a_provider(), "t", large, kNow).kind, Kind::done);
	EXPECT_EQ(read(400, R"({"error":"unsupported_token_type"})").kind, Kind::unsupported);
}

TEST(Revocation, KnowsWhatIsToBeTriedAgain)
{
	for (const char *code : {"invalid_client", "unauthorized_client", "temporarily_unavailable"})
		EXPECT_EQ(read(400, R"({"error":")" + std::string(code) + R"("})").kind, Kind::retry);
	for (const int status : {101, 301, 302, 307, 308, 401, 403, 404, 405, 408, 410, 429, 500, 503})
		EXPECT_EQ(read(status, "").kind, Kind::retry) << status;
	for (const auto failure : {ProviderAnswer::Failure::busy, ProviderAnswer::Failure::timeout,
							   ProviderAnswer::Failure::tls, ProviderAnswer::Failure::broken}) {
		ProviderAnswer answer;
		answer.failure = failure;
		EXPECT_EQ(read_revocation_answer(a_provider(), "t", answer, kNow).kind, Kind::retry);
	}
	EXPECT_EQ(read(400, "{\"error\":\"invalid_client\",\"error_description\":\"\xe9\"}").kind,
			  Kind::retry);
	ProviderAnswer cut;
	cut.failure = ProviderAnswer::Failure::broken;
	cut.was_sent = true;
	cut.detail = "Empty reply from server";
	const RevocationAnswer broken = read_revocation_answer(a_provider(), "t", cut, kNow);
	EXPECT_EQ(broken.detail(), "the provider's answer broke off: Empty reply from server");
	EXPECT_EQ(read(503, "", "120").retry_after, std::chrono::seconds(120));
	EXPECT_EQ(read(503, "", "soon").retry_after, std::nullopt);
	EXPECT_EQ(read(400, "", "120").retry_after, std::nullopt);
}

TEST(Revocation, TellsNoSecret)
{
	const RevocationAnswer answer =
		read(401, R"({"error":"invalid_client","error_description":"bad a-secret-of-the-client for)"
				  R"( the-refresh-token"})");
	EXPECT_EQ(answer.words.code, "invalid_client");
	EXPECT_EQ(answer.words.status, 401);
	for (const std::string &said : {answer.words.description, answer.detail()}) {
		EXPECT_EQ(said.find("a-secret-of"), said.npos) << said;
		EXPECT_EQ(said.find("the-refresh"), said.npos) << said;
	}
	EXPECT_EQ(answer.detail().substr(0, 24), "HTTP 401, invalid_client");
	EXPECT_EQ(read(403, "").detail(), "HTTP 403, the revocation endpoint refused");
}

} // namespace sidecar::oauth
