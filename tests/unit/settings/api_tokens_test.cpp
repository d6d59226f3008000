#include "loading.hpp"

using common::sha256;
using sidecar::settings::ApiToken;

namespace
{

const std::string kToken = "0123456789abcdefghij";
const std::string kOther = "ABCDEFGHIJ0123456789";
const Environment kGoogle = {{"GOOGLE_CLIENT_ID", "i"}, {"GOOGLE_CLIENT_SECRET", "s"}};

Loaded load_token(const std::string &block)
{
	return load_toml("[[api_tokens]]\n" + block, kGoogle);
}

} // namespace

TEST(ApiTokens, FromTheEnvironment)
{
	const Loaded loaded = load_environment({{"OAUTH_API_TOKENS", kToken + ", " + kOther}});
	ASSERT_TRUE(has_no_error(loaded));
	const auto &tokens = loaded.settings.api_tokens;
	ASSERT_EQ(tokens.size(), 2u);
	EXPECT_EQ(tokens[0].digest, sha256(kToken));
	EXPECT_EQ(tokens[1].digest, sha256(kOther));
	EXPECT_EQ(tokens[1].name, "OAUTH_API_TOKENS[2]");
	EXPECT_EQ(tokens[0].allow, unsigned{ApiToken::everything});
	EXPECT_TRUE(tokens[0].workspaces.empty());
	EXPECT_TRUE(tokens[0].providers.empty());
}

TEST(ApiTokens, Bounds)
{
	std::string many;
	for (int i = 0; i < 65; i++)
		many += (many.empty() ? "" : ",") + kToken + std::to_string(i);
	EXPECT_TRUE(has_error(load_environment({{"OAUTH_API_TOKENS", many}}), "OAUTH_API_TOKENS",
						  "more than 64"));
	EXPECT_TRUE(has_error(load_environment({{"OAUTH_API_TOKENS", kToken + "," + kToken}}),
						  "OAUTH_API_TOKENS", "same token"));
	EXPECT_TRUE(has_error(load_token("name = 'a'\ntoken = '" + kToken +
									 "'\n[[api_tokens]]\n"
									 "name = 'b'\ntoken = '" +
									 kToken + "'"),
						  "api_tokens[2]", "same token"));
}

TEST(ApiTokens, Blocks)
{
	const Loaded loaded =
		load_toml("[[api_tokens]]\nname = 'settings-page'\ntoken_env = 'PAGE'\n"
				  "allow = ['status', 'authorize', 'delete']\n"
				  "workspaces = ['ABCDEF11-1111-4111-8111-111111111111']\n"
				  "providers = ['google', 'google.work']\n"
				  "[[api_tokens]]\nname = 'worker'\nallow = 'token'\ntoken_sha256 = "
				  "'9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08'\n",
				  {{"PAGE", kToken}, {"GOOGLE_CLIENT_ID", "i"}, {"GOOGLE_CLIENT_SECRET", "s"}});
	ASSERT_TRUE(has_no_error(loaded));
	const auto &tokens = loaded.settings.api_tokens;
	ASSERT_EQ(tokens.size(), 2u);
	EXPECT_EQ(tokens[0].name, "settings-page");
	EXPECT_EQ(tokens[0].digest, sha256(kToken));
	EXPECT_EQ(tokens[0].allow, ApiToken::status | ApiToken::authorize | ApiToken::delete_);
	EXPECT_EQ(tokens[0].workspaces,
			  std::vector<std::string>{"abcdef11-1111-4111-8111-111111111111"});
	EXPECT_EQ(tokens[0].providers, (std::vector<std::string>{"google", "google.work"}));
	EXPECT_EQ(tokens[1].digest, sha256("test"));
	EXPECT_EQ(tokens[1].allow, unsigned{ApiToken::token});
}

TEST(ApiTokens, FaultTable)
{
	struct Case {
		const char *key;
		std::string block;
		const char *part;
	};
	const std::string good = "name = 'a'\ntoken = '" + kToken + "'\n";
	const Case cases[] = {
		{"name", "token = '" + kToken + "'", "missing"},
		{"name", "name = 'a b'\ntoken = '" + kToken + "'", "letters"},
		{"token", "name = 'a'", "exactly one"},
		{"token", good + "token_sha256 = '" + std::string(64, '0') + "'", "exactly one"},
		{"token", good + "token_file = '/nowhere'", "more than once"},
		{"token", "name = 'a'\ntoken = 'short'", "fewer than 20"},
		{"token_env", "name = 'a'\ntoken_env = 'NOWHERE'", "not set"},
		{"token_file", "name = 'a'\ntoken_file = '/nowhere'", "No such file"},
		{"token_sha256", "name = 'a'\ntoken_sha256 = 'abc'", "64 hexadecimal"},
		{"token_sha256", "name = 'a'\ntoken_sha256 = '" + std::string(64, 'g') + "'", "64 hex"},
		{"allow", good + "allow = ['read']", "status, authorize, token and delete"},
		{"allow", good + "allow = []", "empty"},
		{"workspaces", good + "workspaces = ['x']", "uuid"},
		{"workspaces", good + "workspaces = []", "empty"},
		{"workspaces", good + "workspaces = ['1111111g-1111-4111-8111-111111111111']", "uuid"},
		{"providers", good + "providers = ['gogle']", "not configured"},
		{"providers", good + "providers = ['google.']", "not configured"},
		{"providers", good + "providers = []", "empty"},
		{"tokens", good + "tokens = 'x'", "did you mean token?"},
	};
	for (const Case &test : cases) {
		const Loaded loaded = load_token(test.block);
		EXPECT_TRUE(has_error(loaded, std::string("api_tokens[1].") + test.key, test.part))
			<< test.block;
	}
	EXPECT_TRUE(has_error(load_token(good + "[[api_tokens]]\nname = 'a'\ntoken = '" + kOther + "'"),
						  "api_tokens[2].name", "another token has this name"));
	EXPECT_TRUE(has_error(load_toml("api_tokens = ['" + kToken + "']"), "api_tokens[1]", "block"));
	EXPECT_TRUE(has_error(load_toml("[api_tokens]\nname = 'a'"), "api_tokens", "block"));
	EXPECT_TRUE(has_no_error(load_toml("api_tokens = '" + kToken + "'")));
}
