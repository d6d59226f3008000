#include <openssl/crypto.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/text.hpp"
#include "common/provider_name.hpp"
#include "common/uuid.hpp"
#include "settings/special_settings.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::size_t kShortestToken = 20;
constexpr std::size_t kLongestToken = 1024; // headers have a bound, too
constexpr std::size_t kMostTokens = 64;     // each request is compared with all of them
constexpr std::size_t kLongestName = 64;

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

// If a token came twice, its range would be undefined.
void add(std::string_view setting, ApiToken token, Settings &settings, Diagnostics &diagnostics)
{
	for (const ApiToken &known : settings.api_tokens)
		if (known.digest == token.digest) {
			diagnostics.error(setting, "the same token is there already; give each its own");
			return;
		}
	settings.api_tokens.push_back(std::move(token));
}

std::optional<common::Digest> parse_digest(const std::string &text)
{
	common::Digest digest{};
	std::size_t size = 0;
	if (text.size() != 2 * digest.size() ||
		OPENSSL_hexstr2buf_ex(digest.data(), digest.size(), &size, text.c_str(), '\0') != 1)
		return std::nullopt;
	return digest;
}

std::optional<common::Digest> read_digest(TableReader &block)
{
	const std::optional<std::string> hexadecimal = block.text("token_sha256");
	const std::optional<common::Secret> token = block.secret("token");
	if (block.has_any_form("token") == block.has("token_sha256")) {
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
	return common::sha256(token->reveal());
}

// Each entry is valid, or an error. An empty list would mean all, the opposite of what it looks
// like.
void read_range(TableReader &block, std::string_view key, std::string_view wrong,
				const std::function<bool(const std::string &)> &take)
{
	const auto range = block.list(key);
	if (range && range->empty())
		block.error(key, "the list is empty; leave the key out if there is no restriction");
	for (const std::string &entry : range.value_or(std::vector<std::string>()))
		if (!take(entry))
			block.error(key, wrong);
}

void read_ranges(TableReader &block, const Settings &settings, ApiToken &token)
{
	using Call = std::pair<std::string_view, ApiToken::Call>;
	constexpr Call kCalls[] = {{"status", ApiToken::status},
							   {"authorize", ApiToken::authorize},
							   {"token", ApiToken::token},
							   {"delete", ApiToken::delete_}};
	if (block.has("allow"))
		token.allow = 0;
	read_range(block, "allow",
			   "it can contain status, authorize, token and delete, and nothing else",
			   [&](const std::string &name) {
				   const Call *known = std::ranges::find(kCalls, name, &Call::first);
				   if (known != std::end(kCalls))
					   token.allow |= known->second;
				   return known != std::end(kCalls);
			   });
	read_range(block, "workspaces",
			   "each must be a uuid, as in 11111111-1111-4111-8111-111111111111",
			   [&](const std::string &workspace) {
				   token.workspaces.push_back(lower(workspace));
				   return common::is_uuid(workspace);
			   });
	read_range(block, "providers", "one of them is not configured under [providers]",
			   [&](const std::string &provider) {
				   token.providers.push_back(provider);
				   return common::is_provider_name(provider) &&
						  settings.providers.contains(common::provider_base(provider));
			   });
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
	read_ranges(block, settings, token);
	block.report_unknown();
	if (!digest)
		return;
	token.digest = *digest;
	add(setting, std::move(token), settings, diagnostics);
}

} // namespace

void unrestricted_tokens(Given &given)
{
	std::string_view rest = given.text();
	for (int number = 1;; number++) {
		const std::size_t comma = std::min(rest.find(','), rest.size());
		const std::string_view text = common::trim(rest.substr(0, comma));
		if (const std::string_view wrong = token_error(text); !wrong.empty()) {
			given.error("token " + std::to_string(number) + " of the list: " + std::string(wrong));
		} else {
			ApiToken token;
			token.name = std::string(given.setting) + "[" + std::to_string(number) + "]";
			token.digest = common::sha256(text);
			add(given.setting, std::move(token), given.settings, given.sources.diagnostics);
		}
		if (comma == rest.size())
			return;
		rest.remove_prefix(comma + 1);
	}
}

void read_token_blocks(Sources &sources, Settings &settings)
{
	for (std::size_t i = 0; i < sources.token_blocks.size(); i++) {
		const std::string setting = "api_tokens[" + std::to_string(i + 1) + "]";
		toml::table *table = sources.token_blocks[i].as_table();
		if (table == nullptr) {
			sources.diagnostics.error(setting,
									  "it must be a block of its own, headed [[api_tokens]]");
			continue;
		}
		TableReader block(*table, setting + ".", sources);
		read_block(block, setting, settings, sources.diagnostics);
	}
	if (settings.api_tokens.size() > kMostTokens)
		sources.diagnostics.error("OAUTH_API_TOKENS", "there are more than 64 tokens");
}

} // namespace sidecar::settings
