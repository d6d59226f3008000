#include "settings/api_tokens.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "common/provider_name.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kSetting = "OAUTH_API_TOKENS";
constexpr std::size_t kShortestToken = 20;
constexpr std::size_t kLongestToken = 1024; // headers have a bound, too
constexpr std::size_t kMostTokens = 64;     // each request is compared with all of them
constexpr std::size_t kLongestName = 64;

struct CallName {
	std::string_view name;
	ApiToken::Call call;
};
constexpr CallName kCalls[] = {{"status", ApiToken::status},
							   {"authorize", ApiToken::authorize},
							   {"token", ApiToken::token},
							   {"delete", ApiToken::delete_}};

std::string_view token_error(std::string_view token)
{
	if (token.size() < kShortestToken)
		return "it has fewer than 20 characters; make one with: openssl rand -hex 32";
	if (token.size() > kLongestToken)
		return "it has more than 1024 characters; make one with: openssl rand -hex 32";
	if (!all_visible(token))
		return "it has spaces or characters that are not visible ASCII";
	return {};
}

// Twice the same token would make its range a matter of luck.
void add(std::string_view setting, ApiToken token, Settings &settings, Diagnostics &diagnostics)
{
	for (const ApiToken &known : settings.api_tokens)
		if (known.digest == token.digest) {
			diagnostics.error(setting, "the same token is there already; give each its own");
			return;
		}
	settings.api_tokens.push_back(std::move(token));
}

void read_unrestricted(SettingReader &reader, Settings &settings)
{
	const std::optional<Secret> secret = reader.secret(kSetting);
	if (!secret)
		return;
	std::string_view rest = secret->reveal();
	for (int number = 1;; number++) {
		const std::size_t comma = std::min(rest.find(','), rest.size());
		const std::string_view text = trimmed(rest.substr(0, comma));
		const std::string entry = "token " + std::to_string(number) + " of the list: ";
		if (const std::string_view wrong = token_error(text); !wrong.empty()) {
			reader.diagnostics().error(kSetting, entry + std::string(wrong));
		} else {
			ApiToken token;
			token.name = std::string(kSetting) + "[" + std::to_string(number) + "]";
			token.digest = oauth::sha256(text);
			add(kSetting, std::move(token), settings, reader.diagnostics());
		}
		if (comma == rest.size())
			return;
		rest.remove_prefix(comma + 1);
	}
}

std::optional<oauth::Digest> parse_digest(std::string_view text)
{
	oauth::Digest digest{};
	if (text.size() != 2 * digest.size() || !std::ranges::all_of(text, is_hex_digit))
		return std::nullopt;
	const auto value = [](char c) { return is_digit(c) ? c - '0' : lower_case(c) - 'a' + 10; };
	for (std::size_t i = 0; i < digest.size(); i++)
		digest[i] = static_cast<unsigned char>(value(text[2 * i]) * 16 + value(text[2 * i + 1]));
	return digest;
}

std::optional<oauth::Digest> read_digest(TableReader &block)
{
	const bool plain = block.has("token") || block.has("token_env") || block.has("token_file");
	const std::optional<std::string> hexadecimal = block.text("token_sha256");
	const std::optional<Secret> token = block.secret("token");
	if (plain == block.has("token_sha256")) {
		block.error("token", "give exactly one of token_env, token_file, token_sha256 and token");
		return std::nullopt;
	}
	if (hexadecimal) {
		const auto digest = parse_digest(*hexadecimal);
		if (!digest)
			block.error("token_sha256", "it must be the SHA-256 of the token, as 64 hexadecimal "
										"digits");
		return digest;
	}
	if (!token)
		return std::nullopt;
	if (const std::string_view wrong = token_error(token->reveal()); !wrong.empty()) {
		block.error("token", wrong);
		return std::nullopt;
	}
	return oauth::sha256(token->reveal());
}

// An empty list would mean all: the opposite of what it looks like.
std::optional<std::vector<std::string>> read_range(TableReader &block, std::string_view key)
{
	auto range = block.list(key, ", ");
	if (range && range->empty()) {
		block.error(key, "the list is empty; leave the key out where there is no restriction");
		range.reset();
	}
	return range;
}

void read_calls(TableReader &block, ApiToken &token)
{
	const auto names = read_range(block, "allow");
	if (!names)
		return;
	token.allow = 0;
	for (const std::string &name : *names) {
		const auto *known = std::ranges::find(kCalls, name, &CallName::name);
		if (known == std::end(kCalls))
			block.error("allow", "it may hold status, authorize, token and delete, and nothing "
								 "else");
		else
			token.allow |= known->call;
	}
}

void read_workspaces(TableReader &block, ApiToken &token)
{
	const auto workspaces = read_range(block, "workspaces");
	if (!workspaces)
		return;
	for (const std::string &workspace : *workspaces)
		if (is_uuid(workspace))
			token.workspaces.push_back(lower(workspace));
		else
			block.error("workspaces", "each must be a uuid, as in "
									  "11111111-1111-4111-8111-111111111111");
}

void read_providers(TableReader &block, const Settings &settings, ApiToken &token)
{
	const auto providers = read_range(block, "providers");
	if (!providers)
		return;
	for (const std::string &provider : *providers)
		if (flow::is_provider_name(provider) &&
			settings.providers.contains(flow::provider_base(provider)))
			token.providers.push_back(provider);
		else
			block.error("providers", "one of them is not configured under [providers]");
}

void read_name(TableReader &block, const Settings &settings, ApiToken &token)
{
	const std::optional<std::string> name = block.text("name");
	const auto is_plain = [](char c) {
		return is_alphanumeric(c) || c == '_' || c == '-' || c == '.';
	};
	if (!name) {
		if (!block.has("name"))
			block.error("name", "it is missing; the log tells tokens apart by it");
		return;
	}
	if (name->size() > kLongestName || !std::ranges::all_of(*name, is_plain))
		block.error("name", "it must be at most 64 letters, digits, dots, dashes or underscores");
	else if (std::ranges::find(settings.api_tokens, *name, &ApiToken::name) !=
			 settings.api_tokens.end())
		block.error("name", "another token has this name");
	else
		token.name = *name;
}

void read_block(TableReader &block, std::string_view setting, Settings &settings,
				Diagnostics &diagnostics)
{
	ApiToken token;
	read_name(block, settings, token);
	const auto digest = read_digest(block);
	read_calls(block, token);
	read_workspaces(block, token);
	read_providers(block, settings, token);
	block.report_unknown();
	if (digest) {
		token.digest = *digest;
		add(setting, std::move(token), settings, diagnostics);
	}
}

} // namespace

void read_api_tokens(SettingReader &reader, TomlValue *blocks, Settings &settings)
{
	Diagnostics &diagnostics = reader.diagnostics();
	read_unrestricted(reader, settings);
	if (blocks != nullptr) {
		auto *array = std::get_if<std::vector<TomlValue>>(&blocks->data);
		for (std::size_t i = 0; array != nullptr && i < array->size(); i++) {
			const std::string setting = "api_tokens[" + std::to_string(i + 1) + "]";
			auto *table = std::get_if<TomlTable>(&(*array)[i].data);
			if (table == nullptr) {
				diagnostics.error(setting, "it must be a block of its own, headed [[api_tokens]]");
				continue;
			}
			TableReader block(*table, setting + ".", reader.place());
			read_block(block, setting, settings, diagnostics);
		}
		if (array == nullptr)
			diagnostics.error("api_tokens",
							  "each token is a block, headed [[api_tokens]]; a list of "
							  "unrestricted ones belongs into OAUTH_API_TOKENS");
	}
	if (settings.api_tokens.size() > kMostTokens)
		diagnostics.error(kSetting, "there are more than 64 tokens");
}

} // namespace sidecar::settings
