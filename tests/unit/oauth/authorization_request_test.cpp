#include "oauth/authorization_request.hpp"

#include <gtest/gtest.h>

#include "http/parameters.hpp"
#include "samples.hpp"

using namespace sidecar;
using namespace sidecar::oauth;

namespace
{

constexpr std::string_view kRedirectUri = "https://connect.example/base/oauth/op/callback";

std::string address_of(const Provider &provider, std::optional<std::string> scopes = {})
{
	OpenedAttempt attempt = samples::opened_attempt();
	attempt.link.scopes = std::move(scopes);
	return authorization_address(provider, provider.endpoints, kRedirectUri, attempt);
}

http::Parameters query_of(const std::string &address)
{
	return http::Parameters::parse(std::string_view(address).substr(address.find('?') + 1));
}

} // namespace

TEST(AuthorizationRequest, Plain)
{
	EXPECT_EQ(address_of(samples::provider()),
			  "https://op.example/authorize?response_type=code&client_id=client"
			  "&redirect_uri=https%3A%2F%2Fconnect.example%2Fbase%2Foauth%2Fop%2Fcallback"
			  "&scope=calendar&state=" +
				  std::string(samples::kState) + "&code_challenge=" +
				  std::string(samples::kChallenge) + "&code_challenge_method=S256");
}

TEST(AuthorizationRequest, Scopes)
{
	Provider provider = samples::provider();
	provider.own_scopes = {"openid", "email"};
	EXPECT_NE(address_of(provider, "a b").find("&scope=a%20b%20openid%20email&"),
			  std::string::npos);
	provider.scope_separator = ",";
	EXPECT_EQ(query_of(address_of(provider, "a b")).get("scope"), "a,b,openid,email");
	// A literal plus sign, and not %2B, which is part of a scope's name.
	provider.scope_separator = "+";
	EXPECT_NE(address_of(provider, "a:b c+d").find("&scope=a%3Ab+c+d+openid+email&"),
			  std::string::npos);
	provider.own_scopes.clear();
	EXPECT_FALSE(query_of(address_of(provider, "")).has("scope"));
}

TEST(AuthorizationRequest, NonceWithOpenid)
{
	const Provider provider = samples::provider();
	EXPECT_FALSE(query_of(address_of(provider)).has("nonce"));
	EXPECT_EQ(query_of(address_of(provider, "openid")).get("nonce"), samples::kNonce);
	EXPECT_FALSE(query_of(address_of(provider, "openid2 xopenid")).has("nonce"));
}

// TikTok's client_key.
TEST(AuthorizationRequest, ClientIdParameter)
{
	Provider provider = samples::provider();
	provider.client_id_parameter = "client_key";
	provider.authorize_params = {{"client_key", "x"}, {"client_id", "x"}};
	const std::string address = address_of(provider);
	EXPECT_EQ(query_of(address).get("client_key"), "client");
	EXPECT_FALSE(query_of(address).has("client_id"));
}

// F4
TEST(AuthorizationRequest, Pkce)
{
	Provider provider = samples::provider();
	provider.authorize_params = {{"code_challenge", "x"}, {"code_challenge_method", "plain"}};
	EXPECT_EQ(query_of(address_of(provider)).get("code_challenge"), samples::kChallenge);
	EXPECT_EQ(query_of(address_of(provider)).get("code_challenge_method"), "S256");
	provider.pkce = false;
	EXPECT_FALSE(query_of(address_of(provider)).has("code_challenge"));
	EXPECT_FALSE(query_of(address_of(provider)).has("code_challenge_method"));
	EXPECT_EQ(address_of(provider).find(samples::kVerifier), std::string::npos);
}

TEST(AuthorizationRequest, AddedParameters)
{
	Provider provider = samples::provider();
	provider.authorize_params = {
		{"access_type", "offline"}, {"prompt", "a b&c"}, {"response_mode", "form_post"},
		{"response_type", "token"}, {"state", "x"},      {"client_id", "x"},
		{"redirect_uri", "x"},      {"scope", "x"},      {"nonce", "x"}};
	const std::string address = address_of(provider, "openid");
	const auto query = query_of(address);
	ASSERT_EQ(query.fault(), http::Parameters::Fault::none); // none is doubled
	EXPECT_EQ(query.get("access_type"), "offline");
	EXPECT_EQ(query.get("prompt"), "a b&c");
	EXPECT_NE(address.find("a%20b%26c"), std::string::npos);
	EXPECT_EQ(query.get("response_type"), "code");
	EXPECT_EQ(query.get("state"), samples::kState);
	EXPECT_FALSE(query.has("response_mode"));
}

TEST(AuthorizationRequest, EndpointWithQuery)
{
	Provider provider = samples::provider();
	for (const auto *endpoint :
		 {"https://op.example/a?tenant=1", "https://op.example/a?tenant=1&"}) {
		provider.endpoints.authorization = endpoint;
		EXPECT_TRUE(
			address_of(provider).starts_with("https://op.example/a?tenant=1&response_type=code&"));
	}
	provider.endpoints.authorization = "https://op.example/a?";
	EXPECT_TRUE(address_of(provider).starts_with("https://op.example/a?response_type=code&"));
}

// F9: from the public URL alone, and one for all labels.
TEST(AuthorizationRequest, RedirectUri)
{
	EXPECT_EQ(redirect_uri("https://connect.example", "google"),
			  "https://connect.example/oauth/google/callback");
	EXPECT_EQ(redirect_uri(samples::kPublicUrl, "op.work"), kRedirectUri);
}
