// The sample file is what people copy: it must load as it is, and every line of
// it that is commented out must be right, too.
#include "loading.hpp"
#include "sample.hpp"

using namespace sidecar::oauth;

namespace
{

struct Wanted {
	const char *name;
	const char *token_endpoint; // or the issuer, where endpoints are discovered
	TokenAuth token_auth;
	Body body;
	bool pkce;
	const char *scope_separator;
	Rotation::Kind rotation;
};

} // namespace

TEST(Sample, LoadsAsItIs)
{
	std::string text;
	for (const std::string &line : read_lines("packaging/oauth-sidecar.toml.sample"))
		text += line + "\n";
	ASSERT_FALSE(text.empty());
	EXPECT_TRUE(has_no_error(load_toml(text)));
}

TEST(Sample, EnvironmentFileLoads)
{
	TestDirectory directory;
	std::string as_it_is, all;
	for (const std::string &line : read_lines("packaging/oauth-sidecar.env.sample")) {
		as_it_is += line + "\n";
		// Names of files cannot exist here, and would be the second way besides.
		if (const std::string setting = uncommented(line);
			setting.find("_FILE=") == setting.npos && !setting.starts_with("OAUTH_CACHE_KEY=") &&
			setting.find("/etc/") == setting.npos)
			all += setting + "\n";
	}
	directory.write(".env", as_it_is);
	EXPECT_TRUE(has_no_error(sidecar::settings::load({}, directory.path())));
	directory.write(".env", all);
	directory.write("oauth-sidecar.toml", "");
	const Loaded loaded = sidecar::settings::load({}, directory.path());
	EXPECT_TRUE(has_no_error(loaded));
	EXPECT_FALSE(has_warning(loaded, "no such setting"));
}

TEST(Sample, EverySettingAboveTheBlocks)
{
	const Sample sample = read_sample();
	EXPECT_GT(sample.top.size(), 25u);
	for (const std::string &line : sample.top) {
		Environment variables;
		if (!line.starts_with("database_url "))
			variables["DATABASE_URL"] = "postgresql://app@localhost/app";
		for (const auto &[name, value] : sample.variables)
			if (line.find('"' + name + '"') != line.npos)
				variables.try_emplace(name, value);
		TestDirectory directory;
		directory.write("oauth-sidecar.toml", line);
		const Loaded loaded = sidecar::settings::load(variables, directory.path());
		for (const auto &error : loaded.errors) {
			// The paths in the sample are not there, and half a pair is no pair.
			const bool expected = error.message.find("cannot be read") != std::string::npos ||
								  error.message.find("it is missing") != std::string::npos;
			EXPECT_TRUE(expected) << line << ": " << error.setting << ": " << error.message;
		}
	}
}

TEST(Sample, EveryProvider)
{
	using enum Rotation::Kind;
	const Sample sample = read_sample();
	const Loaded loaded = load_toml(sample.blocks, sample.variables);
	ASSERT_TRUE(has_no_error(loaded));
	ASSERT_FALSE(loaded.settings.api_tokens.empty());
	EXPECT_EQ(loaded.settings.api_tokens.back().name, "settings-page");

	constexpr auto kBasic = TokenAuth::basic, kPost = TokenAuth::post;
	constexpr auto kForm = Body::form, kJson = Body::json;
	const Wanted wanted[] = {
		{"google", "https://oauth2.googleapis.com/token", kPost, kForm, true, " ", none},
		{"microsoft", "https://login.microsoftonline.com/common/oauth2/v2.0/token", kPost, kForm,
		 true, " ", none},
		{"github", "https://github.com/login/oauth/access_token", kPost, kForm, true, ",",
		 automatic},
		{"gitlab", "https://gitlab.com", kBasic, kForm, true, " ", strict},
		{"slack", "https://slack.com/api/oauth.v2.access", kBasic, kForm, false, ",", automatic},
		{"linkedin", "https://www.linkedin.com/oauth/v2/accessToken", kPost, kForm, false, " ",
		 none},
		{"salesforce", "https://login.salesforce.com/services/oauth2/token", kPost, kForm, true,
		 " ", automatic},
		{"quickbooks", "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer", kBasic, kForm,
		 true, " ", grace},
		{"notion", "https://api.notion.com/v1/oauth/token", kBasic, kJson, false, " ", strict},
		{"atlassian", "https://auth.atlassian.com/oauth/token", kPost, kForm, true, " ", grace},
		{"dropbox", "https://api.dropboxapi.com/oauth2/token", kBasic, kForm, true, " ", none},
		{"hubspot", "https://api.hubapi.com/oauth/2026-03/token", kPost, kForm, true, " ", none},
		{"zoom", "https://zoom.us/oauth/token", kBasic, kForm, true, " ", strict},
		{"strava", "https://www.strava.com/api/v3/oauth/token", kPost, kForm, true, ",", automatic},
		{"square", "https://connect.squareup.com/oauth2/token", kPost, kJson, false, " ", none},
		{"tiktok", "https://open.tiktokapis.com/v2/oauth/token/", kPost, kForm, true, ",", strict},
		{"okta", "https://example.okta.com/oauth2/default", kBasic, kForm, true, " ", automatic},
	};
	EXPECT_EQ(loaded.settings.providers.size(), std::size(wanted));
	for (const Wanted &want : wanted) {
		ASSERT_TRUE(loaded.settings.providers.contains(want.name)) << want.name;
		const Provider &provider = loaded.settings.providers.at(want.name);
		const ProviderEndpoints &endpoints = provider.endpoints;
		EXPECT_EQ(provider.discovers ? endpoints.issuer : endpoints.token, want.token_endpoint);
		for (const std::string &address :
			 {endpoints.authorization, endpoints.token, endpoints.revocation, endpoints.issuer})
			EXPECT_TRUE(address.empty() || address.starts_with("https://")) << address;
		EXPECT_NE(provider.discovers, !endpoints.authorization.empty()) << want.name;
		EXPECT_EQ(provider.token_auth, want.token_auth) << want.name;
		EXPECT_EQ(provider.body, want.body) << want.name;
		EXPECT_EQ(provider.pkce, want.pkce) << want.name;
		EXPECT_EQ(provider.scope_separator, want.scope_separator) << want.name;
		EXPECT_EQ(provider.rotation.kind, want.rotation) << want.name;
		EXPECT_FALSE(provider.client_id.empty()) << want.name;
		EXPECT_FALSE(provider.client_secret.empty()) << want.name;
	}
}

// What each cannot do without.
TEST(Sample, Quirks)
{
	const Sample sample = read_sample();
	const Loaded loaded = load_toml(sample.blocks, sample.variables);
	ASSERT_TRUE(has_no_error(loaded));
	const auto &providers = loaded.settings.providers;
	EXPECT_EQ(providers.at("salesforce").extra, std::vector<std::string>{"instance_url"});
	EXPECT_EQ(providers.at("salesforce").default_expires_in, std::optional(7200));
	EXPECT_EQ(providers.at("quickbooks").callback_extra, std::vector<std::string>{"realmId"});
	EXPECT_EQ(providers.at("quickbooks").rotation.grace.count(), 86400);
	EXPECT_EQ(providers.at("atlassian").rotation.grace.count(), 600);
	for (const auto &[name, provider] : providers)
		EXPECT_EQ(provider.refresh_kills_access,
				  name == "github" || name == "gitlab" || name == "atlassian")
			<< name;
	EXPECT_EQ(providers.at("strava").failures.size(), 2u);
	EXPECT_EQ(providers.at("atlassian").authorize_params,
			  (Pairs{{"audience", "api.atlassian.com"}, {"prompt", "consent"}}));
	EXPECT_EQ(providers.at("dropbox").authorize_params, (Pairs{{"token_access_type", "offline"}}));
	EXPECT_EQ(providers.at("notion").authorize_params, (Pairs{{"owner", "user"}}));
	EXPECT_TRUE(providers.at("notion").scopes.empty());
	EXPECT_TRUE(providers.at("zoom").scopes.empty());
	// Its ID tokens carry no nonce, so one must not be asked for.
	EXPECT_EQ(providers.at("linkedin").scopes, std::vector<std::string>{"w_member_social"});
	EXPECT_EQ(providers.at("slack").account_label_path, "team.name");
	EXPECT_EQ(providers.at("tiktok").client_id_parameter, "client_key");
	EXPECT_EQ(providers.at("square").expires_path, "expires_at");
	EXPECT_EQ(providers.at("square").expires_format, ExpiryFormat::iso8601);
	for (const char *name : {"gitlab", "okta"})
		EXPECT_TRUE(providers.at(name).discovers) << name;
}
