#include "oauth/refresh_request.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

using namespace sidecar;
using namespace sidecar::oauth;

namespace
{

ProviderRequest request_of(const Provider &provider, const StoredGrant &stored = {})
{
	return refresh_request(provider, provider.endpoints, "r+t /", stored);
}

std::string header(const ProviderRequest &request, std::string_view name)
{
	for (const auto &[key, value] : request.headers)
		if (key == name)
			return std::string(value.reveal());
	return "(none)";
}

const std::string kStart = "grant_type=refresh_token&refresh_token=r%2Bt+%2F";

} // namespace

TEST(RefreshRequest, Basic)
{
	const auto request = request_of(samples::provider(), {"one two", "", "", "", {}});
	EXPECT_EQ(request.kind, ProviderRequest::Kind::token); // sent once
	EXPECT_EQ(request.url, samples::kTokenEndpoint);
	EXPECT_EQ(header(request, "Accept"), "application/json");
	EXPECT_EQ(header(request, "Content-Type"), "application/x-www-form-urlencoded");
	EXPECT_EQ(header(request, "Authorization"), "Basic Y2xpZW50OmErc2VjcmV0");
	EXPECT_EQ(request.body.reveal(), kStart);
}

TEST(RefreshRequest, RedisAddress)
{
	Provider provider = samples::provider();
	provider.endpoints.refresh = "https://op.example/refresh";
	EXPECT_EQ(request_of(provider).url, "https://op.example/refresh");
	// Of the metadata, where they tell it.
	ProviderEndpoints found;
	found.token = "https://elsewhere.example/token";
	EXPECT_EQ(refresh_request(provider, found, "r", {}).url, found.token);
}

TEST(RefreshRequest, Authentication)
{
	Provider provider = samples::provider();
	provider.token_auth_is_set = true;
	provider.token_auth = TokenAuth::post;
	EXPECT_EQ(header(request_of(provider), "Authorization"), "(none)");
	EXPECT_EQ(request_of(provider).body.reveal(),
			  kStart + "&client_id=client&client_secret=a+secret");
	provider.client_id_parameter = "client_key";
	EXPECT_EQ(request_of(provider).body.reveal(),
			  kStart + "&client_key=client&client_secret=a+secret");
	provider.token_auth = TokenAuth::none;
	EXPECT_EQ(request_of(provider).body.reveal(), kStart + "&client_key=client");
	// What the metadata offer, as with the code.
	Provider open = samples::provider();
	open.endpoints.auth_methods = AuthMethods{false, true, false};
	EXPECT_EQ(request_of(open).body.reveal(), kStart + "&client_id=client&client_secret=a+secret");
}

TEST(RefreshRequest, Parameters)
{
	Provider provider = samples::provider();
	provider.token_params = {{"of", "the code"}};
	provider.refresh_params = {
		{"audience", "a&b"}, {"scope", "mine"}, {"refresh_token", "x"}, {"grant_type", "x"}};
	EXPECT_EQ(request_of(provider).body.reveal(), kStart + "&audience=a%26b&scope=mine");
}

TEST(RefreshRequest, ScopesAgain)
{
	Provider provider = samples::provider();
	provider.refresh_scopes = true;
	provider.own_scopes = {"offline_access", "one"};
	provider.scope_separator = ",";
	const auto scopes = [&](std::optional<std::string> stored) {
		const std::string body(request_of(provider, {stored, "", "", "", {}}).body.reveal());
		return body.substr(kStart.size());
	};
	EXPECT_EQ(scopes("one two"), "&scope=one%2Ctwo%2Coffline_access");
	EXPECT_EQ(scopes(std::nullopt), ""); // not those of the settings
	provider.own_scopes.clear();
	EXPECT_EQ(scopes(""), "");
}

TEST(RefreshRequest, Json)
{
	Provider provider = samples::provider();
	provider.body = Body::json;
	provider.token_auth_is_set = true;
	provider.token_auth = TokenAuth::post;
	const auto request = request_of(provider);
	EXPECT_EQ(header(request, "Content-Type"), "application/json");
	EXPECT_EQ(request.body.reveal(),
			  R"({"grant_type":"refresh_token","refresh_token":"r+t /","client_id":"client",)"
			  R"("client_secret":"a secret"})");
}
