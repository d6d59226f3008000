#include "loading.hpp"

using namespace sidecar::oauth;
using sidecar::settings::SettingError;

namespace
{

const Environment kGoogle = {{"GOOGLE_CLIENT_ID", "g-id"}, {"GOOGLE_CLIENT_SECRET", "g-secret"}};
const Environment kMicrosoft = {{"MICROSOFT_CLIENT_ID", "m-id"},
								{"MICROSOFT_CLIENT_SECRET", "m-secret"}};
constexpr const char *kGuid = "11111111-2222-3333-4444-555555555555";

Environment with(Environment environment, const std::string &name, const std::string &value)
{
	environment.insert_or_assign(name, value);
	return environment;
}

// A block that has no error, for `more` to spoil.
std::string block(const std::string &more)
{
	return "client_secret = 'secret'\nauthorization_endpoint = 'https://a.example/authorize'\n"
		   "token_endpoint = 'https://a.example/token'\n" +
		   more;
}

} // namespace

// What the presets promise (docs/design/flow.md, "Providers").
TEST(Presets, Google)
{
	const Loaded loaded = load_environment(kGoogle);
	ASSERT_TRUE(has_no_error(loaded));
	ASSERT_EQ(loaded.settings.providers.size(), 1u);
	const Provider &google = loaded.settings.providers.at("google");
	EXPECT_EQ(google.name, "google");
	EXPECT_EQ(google.client_id, "g-id");
	EXPECT_EQ(google.client_secret.reveal(), "g-secret");
	EXPECT_EQ(google.endpoints.issuer, "https://accounts.google.com");
	EXPECT_EQ(google.endpoints.authorization, "https://accounts.google.com/o/oauth2/v2/auth");
	EXPECT_EQ(google.endpoints.token, "https://oauth2.googleapis.com/token");
	EXPECT_EQ(google.endpoints.refresh, "");
	EXPECT_EQ(google.endpoints.revocation, "https://oauth2.googleapis.com/revoke");
	EXPECT_FALSE(google.discovers);
	EXPECT_EQ(google.authorize_params, (Pairs{{"access_type", "offline"},
											  {"include_granted_scopes", "true"},
											  {"prompt", "consent"}}));
	EXPECT_EQ(google.own_scopes, (std::vector<std::string>{"openid", "email"}));
	EXPECT_TRUE(google.scopes.empty());
	EXPECT_EQ(google.token_auth, TokenAuth::post);
	EXPECT_EQ(google.rotation.kind, Rotation::Kind::none);
	EXPECT_TRUE(google.pkce);
	EXPECT_FALSE(google.require_iss);
	EXPECT_FALSE(google.issuer_per_tenant);
	EXPECT_FALSE(google.id_token_optional);
}

TEST(Presets, Microsoft)
{
	const Loaded loaded = load_environment(kMicrosoft);
	ASSERT_TRUE(has_no_error(loaded));
	const Provider &microsoft = loaded.settings.providers.at("microsoft");
	const std::string base = "https://login.microsoftonline.com/common";
	EXPECT_EQ(microsoft.endpoints.issuer, base + "/v2.0");
	EXPECT_EQ(microsoft.endpoints.authorization, base + "/oauth2/v2.0/authorize");
	EXPECT_EQ(microsoft.endpoints.token, base + "/oauth2/v2.0/token");
	EXPECT_EQ(microsoft.endpoints.revocation, "");
	EXPECT_FALSE(microsoft.discovers);
	EXPECT_TRUE(microsoft.issuer_per_tenant);
	EXPECT_TRUE(microsoft.authorize_params.empty());
	EXPECT_EQ(microsoft.own_scopes,
			  (std::vector<std::string>{"openid", "email", "offline_access"}));
	EXPECT_EQ(microsoft.rotation.kind, Rotation::Kind::none);
	EXPECT_TRUE(microsoft.pkce);
	EXPECT_FALSE(microsoft.require_iss);
}

TEST(Presets, Tenants)
{
	for (const char *tenant : {"common", "organizations", "consumers", "contoso.onmicrosoft.com"}) {
		const Loaded loaded = load_environment(with(kMicrosoft, "MICROSOFT_TENANT", tenant));
		ASSERT_TRUE(has_no_error(loaded)) << tenant;
		const Provider &microsoft = loaded.settings.providers.at("microsoft");
		EXPECT_TRUE(microsoft.issuer_per_tenant) << tenant;
		EXPECT_EQ(microsoft.endpoints.token, "https://login.microsoftonline.com/" +
												 std::string(tenant) + "/oauth2/v2.0/token");
	}
	// A GUID's own issuer is known, and written in lower case.
	const Loaded loaded = load_toml("[providers.work]\npreset = 'microsoft'\nclient_id = 'i'\n"
									"client_secret = 's'\ntenant = 'ABCDEF00-0000-0000-0000-"
									"000000000000'",
									with(kMicrosoft, "MICROSOFT_TENANT", kGuid));
	ASSERT_TRUE(has_no_error(loaded));
	const Provider &fixed = loaded.settings.providers.at("microsoft");
	EXPECT_FALSE(fixed.issuer_per_tenant);
	EXPECT_EQ(fixed.endpoints.issuer,
			  "https://login.microsoftonline.com/" + std::string(kGuid) + "/v2.0");
	EXPECT_EQ(loaded.settings.providers.at("work").endpoints.issuer,
			  "https://login.microsoftonline.com/abcdef00-0000-0000-0000-000000000000/v2.0");
}

TEST(Presets, HalfAClient)
{
	EXPECT_TRUE(has_error(load_environment({{"GOOGLE_CLIENT_ID", "i"}}), "GOOGLE_CLIENT_SECRET",
						  "missing"));
	EXPECT_TRUE(has_error(load_environment({{"GOOGLE_CLIENT_SECRET", "s"}}), "GOOGLE_CLIENT_ID",
						  "missing"));
	EXPECT_TRUE(has_error(
		load_environment({{"MICROSOFT_CLIENT_ID", "i"}, {"MICROSOFT_CLIENT_SECRET_FILE", "/no"}}),
		"MICROSOFT_CLIENT_SECRET_FILE", "No such file"));
}

TEST(Presets, BlockAndEnvironment)
{
	// The block of a preset's own name needs not say so, and the client may come
	// from either side.
	const Loaded loaded =
		load_toml("[providers.google]\nclient_id = 'block-id'\n"
				  "scopes = 'https://www.googleapis.com/auth/drive  profile'\n"
				  "authorize_params = { hd = 'example.com', prompt = 'select_account',"
				  " include_granted_scopes = '' }\n",
				  {{"GOOGLE_CLIENT_SECRET", "g-secret"}});
	ASSERT_TRUE(has_no_error(loaded));
	const Provider &google = loaded.settings.providers.at("google");
	EXPECT_EQ(google.client_id, "block-id");
	EXPECT_EQ(google.client_secret.reveal(), "g-secret");
	EXPECT_EQ(google.endpoints.token, "https://oauth2.googleapis.com/token");
	EXPECT_EQ(google.scopes,
			  (std::vector<std::string>{"https://www.googleapis.com/auth/drive", "profile"}));
	EXPECT_EQ(
		google.authorize_params,
		(Pairs{{"access_type", "offline"}, {"hd", "example.com"}, {"prompt", "select_account"}}));

	const Loaded both = load_toml("[providers.google]\nclient_id = 'block-id'\n"
								  "client_secret_file = '/nowhere'\n",
								  kGoogle);
	ASSERT_TRUE(has_no_error(both));
	EXPECT_EQ(both.settings.providers.at("google").client_id, "g-id");
	EXPECT_EQ(both.settings.providers.at("google").client_secret.reveal(), "g-secret");
}

TEST(Presets, UnderAnotherName)
{
	const Loaded loaded = load_toml("[providers.calendar]\npreset = 'google'\nclient_id = 'c-id'\n"
									"client_secret = 'c-secret'\n",
									kGoogle);
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_EQ(loaded.settings.providers.size(), 2u);
	EXPECT_EQ(loaded.settings.providers.at("calendar").client_id, "c-id");
	EXPECT_EQ(loaded.settings.providers.at("calendar").own_scopes.size(), 2u);
	EXPECT_TRUE(
		has_error(load_toml("[providers.calendar]\npreset = 'google'\nclient_id = 'c'\n", kGoogle),
				  "providers.calendar.client_secret", "missing"));
}

// A block of a preset's name that says where it is: a test's provider.
TEST(Presets, OfItsOwnWhereItSaysWhere)
{
	const Loaded loaded =
		load_toml("[providers.google]\nissuer = 'http://localhost:4000'\n", kGoogle);
	ASSERT_TRUE(has_no_error(loaded));
	const Provider &google = loaded.settings.providers.at("google");
	EXPECT_TRUE(google.discovers);
	EXPECT_TRUE(google.endpoints.token.empty());
	EXPECT_TRUE(google.own_scopes.empty());
	EXPECT_EQ(google.client_id, "g-id");
}

// F14: one provider's secret does not go to another.
TEST(Presets, NotTheirClientWhereAnotherProviderHasItsOwn)
{
	const Loaded loaded = load_toml("[providers.google]\nissuer = 'http://localhost:4000'\n"
									"client_id = 'other'\nclient_secret = 'of the other'\n",
									kGoogle);
	ASSERT_TRUE(has_no_error(loaded));
	const Provider &google = loaded.settings.providers.at("google");
	EXPECT_EQ(google.client_id, "other");
	EXPECT_EQ(google.client_secret.reveal(), "of the other");
}

TEST(Providers, OpenidNeedsAnIssuer)
{
	const std::string endpoints = "authorization_endpoint = 'https://a.example/authorize'\n"
								  "token_endpoint = 'https://a.example/token'\n"
								  "client_secret = 'x'\nscopes = ['openid']\n";
	EXPECT_TRUE(has_error(load_provider(endpoints), "providers.some.scopes", "issuer"));
	EXPECT_TRUE(has_no_error(load_provider(endpoints + "id_token = 'optional'\n")));
	EXPECT_TRUE(has_no_error(load_provider(endpoints + "issuer = 'https://a.example'\n")));
}

TEST(Providers, EveryKey)
{
	const Loaded loaded = load_provider(
		"client_secret_env = 'SOME_SECRET'\n"
		"issuer = 'https://a.example/'\n"
		"authorization_endpoint = 'https://a.example/authorize?x=y'\n"
		"token_endpoint = 'https://a.example/token'\n"
		"refresh_endpoint = 'https://a.example/refresh'\n"
		"revocation_endpoint = 'https://a.example/revoke'\n"
		"scopes = ['one', 'two']\nscope_separator = ','\n"
		"authorize_params = { a = '1', b = 2, c = true }\n"
		"token_params = { d = '4' }\nrefresh_params = { scope = 'one' }\n"
		"token_auth = 'post'\nbody = 'json'\npkce = false\nrequire_iss = false\n"
		"id_token = 'optional'\naccess_token_path = 'user.access_token'\n"
		"refresh_token_path = 'data.0.key'\nexpires_path = 'until'\nexpires_format = 'unix'\n"
		"scope_path = 'rights'\nclient_id_parameter = 'client_key'\n"
		"id_token_allow = ['no_nonce', 'HS256']\nallow_token_types = 'DPoP, N_A'\n"
		"account = { id = 'user.id', label = 'user.name' }\nextra = ['team.id']\n"
		"callback_extra = ['realmId']\ndefault_expires_in = 7200\nrotation = 'grace:60'\n"
		"refresh_scopes = false\nrefresh_kills_access = true\nrefresh_ahead = 0\n"
		"keep_alive = 7776000\nrefreshes_per_second = 20\ndefault_refresh_expires_in = 5184000\n"
		"failures = { 'invalid_grant: locked' = 'needs_interaction', '504' = 'no_answer' }\n"
		"revoke = 'never'\n");
	EXPECT_TRUE(has_error(loaded, "providers.some.client_secret_env", "not set"));
	const Provider &some = loaded.settings.providers.at("some");
	EXPECT_EQ(some.endpoints.issuer, "https://a.example/");
	EXPECT_FALSE(some.discovers);
	EXPECT_EQ(some.endpoints.refresh, "https://a.example/refresh");
	EXPECT_EQ(some.endpoints.revocation, "https://a.example/revoke");
	EXPECT_EQ(some.scope_separator, ",");
	EXPECT_EQ(some.authorize_params, (Pairs{{"a", "1"}, {"b", "2"}, {"c", "true"}}));
	EXPECT_EQ(some.token_params, (Pairs{{"d", "4"}}));
	EXPECT_EQ(some.refresh_params, (Pairs{{"scope", "one"}}));
	EXPECT_EQ(some.token_auth, TokenAuth::post);
	EXPECT_EQ(some.body, Body::json);
	EXPECT_FALSE(some.pkce);
	EXPECT_EQ(some.require_iss, std::optional(false));
	EXPECT_TRUE(some.id_token_optional);
	EXPECT_EQ(some.access_token_path, "user.access_token");
	EXPECT_EQ(some.refresh_token_path, "data.0.key");
	EXPECT_EQ(some.expires_path, "until");
	EXPECT_EQ(some.expires_format, ExpiryFormat::unix_seconds);
	EXPECT_EQ(some.scope_path, "rights");
	EXPECT_EQ(some.client_id_parameter, "client_key");
	EXPECT_TRUE(some.id_token_allow.no_nonce);
	EXPECT_TRUE(some.id_token_allow.hs256);
	EXPECT_FALSE(some.id_token_allow.numeric_sub);
	EXPECT_EQ(some.allow_token_types, (std::vector<std::string>{"dpop", "n_a"}));
	EXPECT_EQ(some.account_id_path, "user.id");
	EXPECT_EQ(some.account_label_path, "user.name");
	EXPECT_EQ(some.extra, std::vector<std::string>{"team.id"});
	EXPECT_EQ(some.callback_extra, std::vector<std::string>{"realmId"});
	EXPECT_EQ(some.default_expires_in, std::optional(7200));
	EXPECT_EQ(some.rotation.kind, Rotation::Kind::grace);
	EXPECT_EQ(some.rotation.grace.count(), 60);
	EXPECT_FALSE(some.refresh_scopes);
	EXPECT_TRUE(some.refresh_kills_access);
	EXPECT_EQ(some.refresh_ahead.count(), 0);
	EXPECT_EQ(some.keep_alive.count(), 7776000);
	EXPECT_EQ(some.refreshes_per_second, 20);
	EXPECT_EQ(some.default_refresh_expires_in, std::optional(5184000));
	ASSERT_EQ(some.failures.size(), 2u);
	for (const FailureRule &rule : some.failures)
		EXPECT_EQ(rule.kind,
				  rule.match == "504" ? FailureKind::no_answer : FailureKind::needs_interaction);
	EXPECT_EQ(some.revoke, Revoke::never);
	EXPECT_TRUE(has_warning(loaded, "providers.some.pkce: false"));
	EXPECT_TRUE(has_warning(loaded, "providers.some.require_iss: false"));
	EXPECT_TRUE(has_warning(loaded, "providers.some.id_token: \"optional\""));
	EXPECT_TRUE(has_warning(loaded, "providers.some.id_token_allow: no_nonce"));
	EXPECT_TRUE(has_warning(loaded, "providers.some.allow_token_types: such"));
}

TEST(Providers, Defaults)
{
	const Loaded loaded = load_provider(block(""));
	ASSERT_TRUE(has_no_error(loaded));
	const Provider &some = loaded.settings.providers.at("some");
	EXPECT_EQ(some.token_auth, TokenAuth::basic);
	EXPECT_EQ(some.body, Body::form);
	EXPECT_TRUE(some.pkce);
	EXPECT_EQ(some.rotation.kind, Rotation::Kind::strict);
	EXPECT_FALSE(some.refresh_scopes || some.refresh_kills_access);
	EXPECT_EQ(some.refresh_ahead.count() + some.keep_alive.count(), 0);
	EXPECT_FALSE(some.default_refresh_expires_in);
	EXPECT_TRUE(some.failures.empty());
	EXPECT_EQ(some.revoke, Revoke::automatic);
	EXPECT_TRUE(loaded.settings.warnings.empty());
}

TEST(Providers, Rotations)
{
	const std::pair<const char *, Rotation::Kind> rotations[] = {
		{"none", Rotation::Kind::none},
		{"grace:1", Rotation::Kind::grace},
		{"until_used", Rotation::Kind::until_used},
		{"strict", Rotation::Kind::strict},
		{"auto", Rotation::Kind::automatic}};
	for (const auto &[text, kind] : rotations) {
		const Loaded loaded = load_provider(block("rotation = '" + std::string(text) + "'"));
		ASSERT_TRUE(has_no_error(loaded)) << text;
		EXPECT_EQ(loaded.settings.providers.at("some").rotation.kind, kind);
	}
	const Loaded loaded =
		load_provider(block("refresh_scopes = true\nrefresh_ahead = 300\nfailures = {}"));
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_TRUE(loaded.settings.providers.at("some").refresh_scopes);
	EXPECT_EQ(loaded.settings.providers.at("some").refresh_ahead.count(), 300);
}

TEST(Providers, FaultTable)
{
	struct Case {
		const char *key;
		std::string block;
		const char *part;
	};
	// F18 are the endpoints, F4 the parameters.
	const Case cases[] = {
		{"issuer", "client_secret = 's'", "say where"},
		{"issuer", "client_secret = 's'\nissuer = 'http://a.example'", "https://"},
		{"issuer", "client_secret = 's'\nissuer = 'https://a.example?b'", "query"},
		{"token_endpoint", "client_secret = 's'\nauthorization_endpoint = 'https://a.example'",
		 "missing"},
		{"authorization_endpoint", "client_secret = 's'\ntoken_endpoint = 'https://a.example'",
		 "missing"},
		{"authorization_endpoint",
		 "client_secret = 's'\ntoken_endpoint = 'https://a.example'\n"
		 "authorization_endpoint = 'http://a.example'",
		 "https://"},
		{"token_endpoint",
		 "client_secret = 's'\nauthorization_endpoint = 'https://a.example'\n"
		 "token_endpoint = 'https://u:p@a.example'",
		 "user name"},
		{"refresh_endpoint", block("refresh_endpoint = 'http://a.example'"), "https://"},
		{"revocation_endpoint", block("revocation_endpoint = 'https://a.example#x'"), "fragment"},
		{"preset", "client_secret = 's'\npreset = 'gogle'", "google or microsoft"},
		{"tenant", block("tenant = 'common'"), "microsoft"},
		{"tenant", "client_secret = 's'\npreset = 'microsoft'\ntenant = 'a/b'", "GUID"},
		{"client_secret", "issuer = 'https://a.example'", "missing"},
		{"client_secret", block("client_secret_env = 'HOME'"), "more than once"},
		{"token_auth", block("token_auth = 'none'"), "none sends no client_secret"},
		{"token_auth", block("token_auth = 'jwt'"), "basic, post, none"},
		{"pkce", "issuer = 'https://a.example'\ntoken_auth = 'none'\npkce = false", "needs PKCE"},
		{"pkce", block("pkce = 'no'"), "true or false"},
		{"require_iss", block("require_iss = 1"), "true or false"},
		{"id_token", block("id_token = 'never'"), "required, optional"},
		{"body", block("body = 'xml'"), "form, json"},
		{"revoke", block("revoke = 'maybe'"), "auto, always, never"},
		{"rotation", block("rotation = 'grace'"), "grace:60"},
		{"rotation", block("rotation = 'grace:'"), "grace:60"},
		{"rotation", block("rotation = 'grace:0'"), "grace:60"},
		{"rotation", block("rotation = 'grace:1h'"), "grace:60"},
		{"rotation", block("rotation = 'automatic'"), "until_used"},
		{"rotation", block("rotation = 'until_used:60'"), "until_used"},
		{"refresh_scopes", block("refresh_scopes = 'yes'"), "true or false"},
		{"refresh_scopes", block("refresh_scopes = true\nrefresh_params = { scope = 'a' }"),
		 "keep one"},
		{"refresh_kills_access", block("refresh_kills_access = 1"), "true or false"},
		{"refresh_ahead", block("refresh_ahead = -1"), "whole number"},
		{"refresh_ahead", block("refresh_ahead = '5m'"), "whole number"},
		{"refresh_ahead", block("refresh_ahead = 2592001"), "2592000"},
		{"refresh_ahead", block("refresh_ahead = 60\nrefresh_kills_access = true"), "in use"},
		{"keep_alive", block("keep_alive = -1"), "whole number"},
		{"keep_alive", block("keep_alive = 7776000.0"), "whole number"},
		{"refreshes_per_second", block("refreshes_per_second = 0"), "whole number"},
		{"refreshes_per_second", block("refreshes_per_second = 1001"), "1000"},
		{"default_refresh_expires_in", block("default_refresh_expires_in = 0"), "whole number"},
		{"failures", block("failures = 'x'"), "table"},
		{"failures", block("failures = { x = 'dead' }"), "dead_grant"},
		{"failures", block("failures = { x = '' }"), "dead_grant"},
		{"failures", block("failures = { 'x: ' = 'dead_grant' }"), "a code"},
		{"failures", block("failures = { '' = 'dead_grant' }"), "a code"},
		{"scope_separator", block("scope_separator = ''"), "must be"},
		{"scope_separator", block("scope_separator = ', '"), "must be"},
		{"scopes", block("scopes = 7"), "array of texts"},
		{"scopes", block("scopes = ['a', '']"), "array of texts"},
		{"scopes", block("scopes = ['a b']"), "separator"},
		{"scopes", block("scopes = ['a\"b']"), "quotes"},
		{"authorize_params", block("authorize_params = 'a=b'"), "table"},
		{"authorize_params.a", block("authorize_params = { a = [] }"), "text"},
		{"authorize_params", block("authorize_params = { 'a b' = 'c' }"), "visible"},
		{"token_params", block("token_params = { grant_type = 'x' }"), "grant_type"},
		{"token_params", block("token_params = { code_verifier = 'x' }"), "code_verifier"},
		{"refresh_params", block("refresh_params = { refresh_token = 'x' }"), "refresh_token"},
		{"access_token_path", block("access_token_path = 'a..b'"), "dots"},
		{"refresh_token_path", block("refresh_token_path = '.a'"), "dots"},
		{"refresh_token_path", block("refresh_token_path = 'access_token'"), "another member"},
		{"expires_path", block("expires_path = 'a[0]'"), "dots"},
		{"scope_path", block("scope_path = 'a b'"), "dots"},
		{"expires_format", block("expires_format = 'iso8601'"), "expires_path"},
		{"expires_format", block("expires_path = 'a'\nexpires_format = 'days'"), "iso8601"},
		{"id_token_allow", block("id_token_allow = ['none']"), "no_nonce"},
		{"allow_token_types", block("allow_token_types = ['bot']"), "anyway"},
		{"client_id_parameter", block("client_id_parameter = 'State'"), "protocol"},
		{"client_id_parameter", block("client_id_parameter = 'code'"), "protocol"},
		{"client_id_parameter", block("client_id_parameter = 'a b'"), "letters"},
		{"authorize_params",
		 block("client_id_parameter = 'client_key'\nauthorize_params = { client_key = 'x' }"),
		 "the protocol sets itself"},
		{"extra", block("extra = ['data']\nrefresh_token_path = 'data.key'"), "unencrypted"},
		{"account", block("account = 'refresh_token'"), "token"},
		{"account", block("account = { id = 'a', name = 'b' }"), "label"},
		{"extra", block("extra = ['id_token']"), "unencrypted"},
		{"extra", block("extra = ['user.Access_Token']"), "unencrypted"},
		{"extra", block("extra = ['user']\naccess_token_path = 'user.key'"), "unencrypted"},
		{"extra", block("extra = ['user.key']\naccess_token_path = 'user.key'"), "unencrypted"},
		{"extra", block("extra = ['a.']"), "dots"},
		{"callback_extra", block("callback_extra = ['code']"), "code"},
		{"default_expires_in", block("default_expires_in = 0"), "whole number"},
		{"default_expires_in", block("default_expires_in = '60'"), "whole number"},
		{"client_secert", block("client_secert = 'x'"), "did you mean client_secret?"},
		{"scope", block("scope = 'x'"), "did you mean scopes?"},
	};
	for (const Case &test : cases) {
		const std::string setting = std::string("providers.some.") + test.key;
		EXPECT_TRUE(has_error(load_provider(test.block), setting, test.part)) << test.block;
	}
}

// F4: nothing that the protocol says can be replaced.
TEST(Providers, AuthorizeParametersAreOurs)
{
	for (const char *name :
		 {"client_id", "redirect_uri", "response_type", "response_mode", "state", "scope",
		  "code_challenge", "code_challenge_method", "nonce", "request_uri", "State"}) {
		const std::string line = "authorize_params = { " + std::string(name) + " = 'x' }";
		EXPECT_TRUE(has_error(load_provider(block(line)), "providers.some.authorize_params",
							  "the protocol sets itself"))
			<< name;
	}
}

TEST(Providers, Clients)
{
	EXPECT_TRUE(has_error(load_toml("[providers.a]\nissuer = 'https://a.example'\n"
									"client_secret = 's'"),
						  "providers.a.client_id", "missing"));
	EXPECT_TRUE(has_error(load_toml("[providers.a]\nissuer = 'https://a.example'\nclient_id = 'i'\n"
									"client_id_env = 'A'\nclient_secret = 's'",
									{{"A", "x"}}),
						  "providers.a.client_id", "twice"));
	EXPECT_TRUE(has_error(load_toml("[providers.a]\nissuer = 'https://a.example'\n"
									"client_id = 'i d'\nclient_secret = 's'"),
						  "providers.a.client_id", "visible"));
	const Loaded loaded = load_toml("[providers.a]\nissuer = 'https://a.example'\n"
									"client_id_env = 'A'\ntoken_auth = 'none'",
									{{"A", "id"}});
	ASSERT_TRUE(has_no_error(loaded));
	EXPECT_EQ(loaded.settings.providers.at("a").client_id, "id");
	EXPECT_TRUE(loaded.settings.providers.at("a").client_secret.empty());
}

TEST(Providers, Names)
{
	for (const char *name : {"Google", "-a", "_a", "'a b'", "\"google.work\"", "''"})
		EXPECT_EQ(load_toml("[providers." + std::string(name) + "]\n").errors.size(), 1u) << name;
	EXPECT_TRUE(has_error(load_toml("[providers]\na = 1"), "providers.a", "block"));
	const Loaded loaded = load_toml("[providers.a-1_b]\nissuer = 'https://a.example'\n"
									"client_id = 'i'\nclient_secret = 's'");
	EXPECT_TRUE(has_no_error(loaded));
}

TEST(Providers, PartlyDiscovered)
{
	const Loaded loaded = load_provider("client_secret = 's'\nissuer = 'https://a.example'\n"
										"token_endpoint = 'https://b.example/token'");
	ASSERT_TRUE(has_no_error(loaded));
	const Provider &some = loaded.settings.providers.at("some");
	EXPECT_TRUE(some.discovers);
	EXPECT_EQ(some.endpoints.token, "https://b.example/token");
	EXPECT_TRUE(some.endpoints.authorization.empty());
}
