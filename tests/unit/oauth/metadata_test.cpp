#include "oauth/metadata.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

using namespace sidecar::oauth;
using samples::replaced;

namespace
{

const std::string kDocument =
	R"({"issuer":"https://op.example","authorization_endpoint":"https://op.example/authorize",)"
	R"("token_endpoint":"https://op.example/token","revocation_endpoint":"https://op.example/revoke",)"
	R"("code_challenge_methods_supported":["plain","S256"],)"
	R"("authorization_response_iss_parameter_supported":true})";

Provider discovering()
{
	Provider provider = samples::provider();
	provider.endpoints = {};
	provider.endpoints.issuer = samples::kIssuer;
	provider.discovers = true;
	return provider;
}

bool reads(const Provider &provider, const std::string &document, int status = 200)
{
	return std::holds_alternative<ProviderEndpoints>(
		read_metadata(provider, samples::answer(status, document)));
}

} // namespace

TEST(Metadata, Address)
{
	EXPECT_EQ(metadata_address("https://op.example"),
			  "https://op.example/.well-known/openid-configuration");
	EXPECT_EQ(metadata_address("https://op.example/"),
			  "https://op.example/.well-known/openid-configuration");
	EXPECT_EQ(metadata_address("https://op.example/tenant/v2.0"),
			  "https://op.example/tenant/v2.0/.well-known/openid-configuration");
}

TEST(Metadata, Reads)
{
	const auto read = read_metadata(discovering(), samples::answer(200, kDocument));
	const auto &endpoints = std::get<ProviderEndpoints>(read);
	EXPECT_EQ(endpoints.issuer, "https://op.example");
	EXPECT_EQ(endpoints.authorization, "https://op.example/authorize");
	EXPECT_EQ(endpoints.token, "https://op.example/token");
	EXPECT_EQ(endpoints.revocation, "https://op.example/revoke");
	EXPECT_EQ(endpoints.refresh, "");
	EXPECT_TRUE(endpoints.iss_promised);
}

TEST(Metadata, SettingsWin)
{
	Provider provider = discovering();
	provider.endpoints.token = "https://elsewhere.example/token";
	const auto document = replaced(kDocument, "\"https://op.example/token\"", "\"http://evil\"");
	const auto read = read_metadata(provider, samples::answer(200, document));
	EXPECT_EQ(std::get<ProviderEndpoints>(read).token, "https://elsewhere.example/token");
	EXPECT_EQ(std::get<ProviderEndpoints>(read).authorization, "https://op.example/authorize");
}

TEST(Metadata, Silence)
{
	const auto no_promise =
		replaced(kDocument, ",\"authorization_response_iss_parameter_supported\":true", "");
	const auto read = read_metadata(discovering(), samples::answer(200, no_promise));
	EXPECT_FALSE(std::get<ProviderEndpoints>(read).iss_promised);
	EXPECT_TRUE(reads(discovering(), replaced(kDocument, "code_challenge_methods", "x")));
	EXPECT_TRUE(reads(discovering(), replaced(kDocument, "revocation_endpoint", "x")));
	EXPECT_FALSE(std::get<ProviderEndpoints>(
					 read_metadata(discovering(),
								   samples::answer(200, replaced(kDocument, ":true", ":\"true\""))))
					 .iss_promised);
}

TEST(Metadata, Pkce)
{
	Provider without = discovering();
	without.pkce = false;
	for (const auto *methods : {"[\"plain\"]", "[]", "\"S256\"", "[\"s256\"]", "{}"}) {
		const auto document = replaced(kDocument, "[\"plain\",\"S256\"]", methods);
		EXPECT_FALSE(reads(discovering(), document)) << methods;
		EXPECT_TRUE(reads(without, document)) << methods;
	}
	EXPECT_TRUE(reads(discovering(), replaced(kDocument, "[\"plain\",\"S256\"]", "null")));
}

TEST(Metadata, Refuses)
{
	EXPECT_TRUE(reads(discovering(), kDocument));
	const std::string documents[] = {
		"",
		"[]",
		"<html>",
		kDocument + "x",
		replaced(kDocument, "{", "{\"issuer\":\"https://op.example\","),
		replaced(kDocument, "\"https://op.example\"", "\"https://op.example/\""),
		replaced(kDocument, "\"https://op.example\"", "\"https://OP.example\""),
		replaced(kDocument, "\"https://op.example\"", "\"https://evil.example\""),
		replaced(kDocument, "\"https://op.example\"", "null"),
		replaced(kDocument, "\"issuer\"", "\"isuer\""),
		replaced(kDocument, "\"token_endpoint\"", "\"x\""),
		replaced(kDocument, "\"authorization_endpoint\"", "\"x\""),
		replaced(kDocument, "https://op.example/token", "http://op.example/token"),
		replaced(kDocument, "https://op.example/authorize", "javascript:alert(1)"),
		replaced(kDocument, "https://op.example/revoke", "http://op.example/revoke"),
		replaced(kDocument, "\"https://op.example/token\"", "7"),
		replaced(kDocument, "\"https://op.example/token\"", "\"\""),
	};
	for (const std::string &document : documents)
		EXPECT_FALSE(reads(discovering(), document)) << document;
	for (const int status : {0, 201, 302, 404, 500})
		EXPECT_FALSE(reads(discovering(), kDocument, status)) << status;
	auto answer = samples::answer(200, kDocument);
	answer.failure = ProviderAnswer::Failure::tls;
	EXPECT_TRUE(std::holds_alternative<std::string_view>(read_metadata(discovering(), answer)));
}

// F18: whoever writes a remote issuer's metadata must not have the client's secret
// sent to what listens on this host.
TEST(Metadata, LocalEndpointsNeedALocalIssuer)
{
	const std::string hosts[] = {"http://127.0.0.1:9",
								 "http://localhost",
								 "http://[::1]:9",
								 "https://127.0.0.1",
								 "https://localhost:8443",
								 "https://LOCALHOST",
								 "https://localhost.",
								 "https://a.localhost",
								 "https://[::1]",
								 "https://[::]",
								 "https://[::ffff:127.0.0.1]",
								 "https://[::ffff:7f00:1]",
								 "https://[0:0:0:0:0:0:0:1]",
								 "https://0.0.0.0",
								 "https://0",
								 "https://127.1",
								 "https://2130706433",
								 "https://0x7f.1",
								 "https://0177.0.0.1",
								 "https://127.0.0.1."};
	for (const std::string name : {"authorize", "token", "revoke"})
		for (const std::string &host : hosts) {
			const auto document = replaced(kDocument, "https://op.example/" + name, host + "/x");
			EXPECT_FALSE(reads(discovering(), document)) << document;
			// A development provider may do so, where it is an endpoint at all.
			if (is_endpoint(host)) {
				Provider local = discovering();
				local.endpoints.issuer = "http://localhost:9";
				EXPECT_TRUE(reads(
					local, replaced(document, "\"https://op.example\"", "\"http://localhost:9\"")))
					<< document;
			}
		}
	for (const auto *remote : {"https://10.0.0.1", "https://127.example", "https://[2001:db8::1]",
							   "https://localhost.example", "https://notlocalhost"})
		EXPECT_TRUE(reads(discovering(), replaced(kDocument, "https://op.example/token",
												  remote + std::string("/x"))))
			<< remote;
	// What the settings say is the operator's own word.
	Provider provider = discovering();
	provider.endpoints.token = "http://127.0.0.1:9/token";
	EXPECT_TRUE(reads(provider, kDocument));
	// A local issuer leads to no plain http elsewhere.
	Provider local = discovering();
	local.endpoints.issuer = "http://localhost:9";
	EXPECT_FALSE(reads(
		local, replaced(replaced(kDocument, "\"https://op.example\"", "\"http://localhost:9\""),
						"https://op.example/token", "http://op.example/token")));
}

TEST(Metadata, AuthMethods)
{
	const auto methods = [](std::string_view list) {
		const std::string more =
			",\"token_endpoint_auth_methods_supported\":" + std::string(list) + "}";
		const auto read = read_metadata(
			discovering(), samples::answer(200, kDocument.substr(0, kDocument.size() - 1) + more));
		return std::get<ProviderEndpoints>(read).auth_methods;
	};
	EXPECT_TRUE(methods("[\"client_secret_basic\"]")->basic);
	EXPECT_FALSE(methods("[\"client_secret_basic\"]")->post);
	EXPECT_TRUE(methods("[1,null,\"client_secret_post\",\"none\"]")->post);
	EXPECT_TRUE(methods("[\"none\"]")->none);
	EXPECT_FALSE(methods("[]")->basic);
	for (const auto *silent : {"null", "\"client_secret_post\"", "{}", "7"})
		EXPECT_FALSE(methods(silent)) << silent;
}

TEST(Metadata, TenantTemplate)
{
	Provider provider = discovering();
	const auto document = replaced(kDocument, "\"https://op.example\"",
								   "\"https://login.microsoftonline.com/{tenantid}/v2.0\"");
	EXPECT_FALSE(reads(provider, document));
	provider.issuer_per_tenant = true;
	EXPECT_TRUE(reads(provider, document));
}

// F18
TEST(Metadata, IsEndpoint)
{
	for (const auto *url :
		 {"https://op.example", "https://op.example/", "https://op.example:8443/a?b=c&d",
		  "https://OP.example/a", "https://[2001:db8::1]/", "https://[2001:db8::1]:8443/",
		  "http://localhost/token", "http://localhost:9/token", "http://LOCALHOST/",
		  "http://127.0.0.1:4000/a", "http://127.255.1.2", "http://[::1]/", "http://[::1]:80/a",
		  "https://op.example?tenant=1", "https://op_1.example/~a/@b:c"})
		EXPECT_TRUE(is_endpoint(url)) << url;
	for (const auto *url : {"",
							"op.example",
							"//op.example",
							"ftp://op.example",
							"HTTPS://op.example",
							"https:/x",
							"https://",
							"https:///token",
							"https://:443/",
							"https://op.example:/",
							"https://op.example:0/",
							"https://op.example:65536/",
							"https://op.example:8o/",
							"https://op.example:080/",
							"https://user@op.example/",
							"https://user:pass@op.example/",
							"https://op.example/#f",
							"https://op.example#f",
							"https://op.example/a b",
							"https://op.example/\\",
							"https://op\\.example",
							"https://op.example/\n",
							"https://op.example/\u00e9",
							"https://\u00f6p.example/",
							"https://op%2eexample/",
							"https://[::1",
							"https://::1/",
							"https://[]/",
							"https://[op]/",
							"https://[::1]x/",
							"https://[::1]:x/",
							"http://op.example/",
							"http://127.0.0.1.evil.example/",
							"http://127.1/",
							"http://127.0.0.256/",
							"http://127.0.0.01/",
							"http://127.0.0./",
							"http://127.0.0.1./",
							"http://0x7f.0.0.1/",
							"http://2130706433/",
							"http://[::2]/",
							"http://[::1].evil.example/",
							"http://localhost.evil.example/",
							"http://localhost@evil/",
							"http://localhost:80@evil.example/",
							"http://10.0.0.1/",
							"http://localhost.",
							"javascript:1",
							"https://op.example/\"",
							"https://op.example/<",
							"https://a:1:2/"})
		EXPECT_FALSE(is_endpoint(url)) << url;
	EXPECT_FALSE(is_endpoint("https://op.example/" + std::string(2048, 'a')));
	EXPECT_FALSE(is_endpoint(std::string_view("https://op.example/\0", 20)));
}
