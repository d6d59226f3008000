#include "oauth/token_request.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

using namespace sidecar;
using namespace sidecar::oauth;

namespace
{

ProviderRequest request_of(const Provider &provider)
{
	return token_request(provider, samples::kTokenEndpoint, "https://connect.example/callback",
						 "c+d e", samples::kVerifier, token_auth_of(provider, provider.endpoints));
}

std::string header(const ProviderRequest &request, std::string_view name)
{
	for (const auto &[key, value] : request.headers)
		if (key == name)
			return std::string(value.reveal());
	return "(none)";
}

const std::string kStart = "grant_type=authorization_code&code=c%2Bd+e"
						   "&redirect_uri=https%3A%2F%2Fconnect.example%2Fcallback"
						   "&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

} // namespace

TEST(TokenRequest, Basic)
{
	const auto request = request_of(samples::provider());
	EXPECT_EQ(request.kind, ProviderRequest::Kind::token);
	EXPECT_EQ(request.url, samples::kTokenEndpoint);
	EXPECT_EQ(header(request, "Accept"), "application/json");
	EXPECT_EQ(header(request, "Content-Type"), "application/x-www-form-urlencoded");
	EXPECT_EQ(header(request, "Authorization"), "Basic Y2xpZW50OmErc2VjcmV0"); // client:a+secret
	EXPECT_EQ(request.body.reveal(), kStart);
}

// RFC 6749 section 2.3.1, and characters that form-encoding changes.
TEST(TokenRequest, BasicEncodesFirst)
{
	Provider provider = samples::provider();
	provider.client_id = "s6BhdRkqt3";
	provider.client_secret = common::Secret("7Fjfp0ZBr1KtDRbnfVdmIw");
	EXPECT_EQ(header(request_of(provider), "Authorization"),
			  "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
	provider.client_id = "a:b";
	provider.client_secret = common::Secret("p%+ \u00a3");
	// a%3Ab:p%25%2B+%C2%A3
	EXPECT_EQ(header(request_of(provider), "Authorization"), "Basic YSUzQWI6cCUyNSUyQislQzIlQTM=");
}

TEST(TokenRequest, ClientIdParameter)
{
	Provider provider = samples::provider();
	provider.token_auth = TokenAuth::post;
	provider.client_id_parameter = "client_key";
	EXPECT_EQ(request_of(provider).body.reveal(),
			  kStart + "&client_key=client&client_secret=a+secret");
}

TEST(TokenRequest, Post)
{
	Provider provider = samples::provider();
	provider.token_auth = TokenAuth::post;
	const auto request = request_of(provider);
	EXPECT_EQ(header(request, "Authorization"), "(none)");
	EXPECT_EQ(request.body.reveal(), kStart + "&client_id=client&client_secret=a+secret");
}

TEST(TokenRequest, NoAuthentication)
{
	Provider provider = samples::provider();
	provider.token_auth = TokenAuth::none;
	const auto request = request_of(provider);
	EXPECT_EQ(header(request, "Authorization"), "(none)");
	EXPECT_EQ(request.body.reveal(), kStart + "&client_id=client");
}

TEST(TokenRequest, WithoutPkce)
{
	Provider provider = samples::provider();
	provider.pkce = false;
	EXPECT_EQ(request_of(provider).body.reveal().find("code_verifier"), std::string::npos);
}

TEST(TokenRequest, AddedParameters)
{
	Provider provider = samples::provider();
	provider.token_params = {{"audience", "a&b"}, {"grant_type", "x"}, {"code", "x"}};
	EXPECT_EQ(request_of(provider).body.reveal(), kStart + "&audience=a%26b");
}

TEST(TokenRequest, Json)
{
	Provider provider = samples::provider();
	provider.body = Body::json;
	provider.token_auth = TokenAuth::post;
	provider.client_secret = common::Secret("a \"secret\"\n");
	provider.token_params = {{"audience", "a"}};
	const auto request = request_of(provider);
	EXPECT_EQ(header(request, "Content-Type"), "application/json");
	EXPECT_EQ(request.body.reveal(),
			  R"({"grant_type":"authorization_code","code":"c+d e",)"
			  R"("redirect_uri":"https://connect.example/callback",)"
			  R"("code_verifier":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",)"
			  R"("client_id":"client","client_secret":"a \"secret\"\n","audience":"a"})");
}

// What the metadata offer decides where nobody chose; silence means basic (RFC 8414).
TEST(TokenRequest, OfferedAuthentication)
{
	using enum TokenAuth;
	struct {
		std::optional<AuthMethods> offered;
		TokenAuth taken;
		bool is_good;
	} const rows[] = {{std::nullopt, basic, true},
					  {AuthMethods{true, false, false}, basic, true},
					  {AuthMethods{true, true, true}, basic, true},
					  {AuthMethods{false, true, false}, post, true},
					  {AuthMethods{false, true, true}, post, true},
					  {AuthMethods{false, false, true}, basic, false},
					  {AuthMethods{}, basic, false}};
	for (const auto &row : rows) {
		Provider provider = samples::provider();
		std::optional<ProviderEndpoints> endpoints = provider.endpoints;
		endpoints->auth_methods = row.offered;
		EXPECT_EQ(token_auth_of(provider, endpoints), row.taken);
		EXPECT_EQ(token_auth_fault(provider, *endpoints).empty(), row.is_good);
		EXPECT_EQ(token_auth_of(provider, std::nullopt), basic);
		provider.token_auth_is_set = true;
		for (const TokenAuth chosen : {basic, post, none}) {
			provider.token_auth = chosen;
			EXPECT_EQ(token_auth_of(provider, endpoints), chosen);
		}
	}
	Provider chosen = samples::provider();
	chosen.token_auth_is_set = true;
	ProviderEndpoints endpoints = chosen.endpoints;
	endpoints.auth_methods = AuthMethods{false, true, false};
	EXPECT_NE(token_auth_fault(chosen, endpoints).find("token_auth = \"basic\""),
			  std::string::npos);
}
