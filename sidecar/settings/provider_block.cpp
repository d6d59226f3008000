#include "settings/provider_block.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.hpp"
#include "common/uuid.hpp"
#include "settings/presets.hpp"

namespace sidecar::settings
{

namespace
{

constexpr int kLongestGrace = 30 * 24 * 3600;
constexpr int kLongestDefaultLife = 10 * 365 * 24 * 3600;
constexpr int kLongestAhead = 30 * 24 * 3600;
constexpr int kMostRefreshes = 1000; // a second

// The preset that the block names; if it does not say where the provider is, the one of the
// provider's own name.
const Preset *chosen_preset(const std::string &name, TableReader &block)
{
	if (const std::optional<std::string> wanted = block.text("preset")) {
		const Preset *preset = find_preset(*wanted);
		if (preset == nullptr)
			block.error("preset", "it must be google or microsoft");
		return preset;
	}
	const bool of_its_own = block.has("preset") || block.has("issuer") ||
							block.has("authorization_endpoint") || block.has("token_endpoint");
	return of_its_own ? nullptr : find_preset(name);
}

std::string chosen_tenant(TableReader &block, const Preset *preset, const PresetClient &client)
{
	std::optional<std::string> tenant = block.text("tenant");
	const bool has_tenants = preset != nullptr && !preset->tenant_setting.empty();
	if (tenant && !has_tenants)
		block.error("tenant", "only preset = \"microsoft\" has tenants");
	else if (tenant && !is_tenant(*tenant))
		block.error("tenant", "it must be common, organizations, consumers, a domain or a GUID");
	else if (tenant && client.tenant.empty())
		return lower(*tenant);
	return client.tenant.empty() ? "common" : client.tenant;
}

void read_endpoints(TableReader &block, oauth::Provider &provider)
{
	oauth::ProviderEndpoints &endpoints = provider.endpoints;
	block.read("issuer", endpoints.issuer);
	provider.issuer_per_tenant = provider.issuer_per_tenant && !block.has("issuer");
	block.read("authorization_endpoint", endpoints.authorization);
	block.read("token_endpoint", endpoints.token);
	block.read("refresh_endpoint", endpoints.refresh);
	block.read("revocation_endpoint", endpoints.revocation);
	provider.discovers =
		!endpoints.issuer.empty() && (endpoints.authorization.empty() || endpoints.token.empty());
}

// What the environment gives wins.
void read_client(TableReader &block, PresetClient client, oauth::Provider &provider)
{
	const std::string own_id = block.text_or_variable("client_id").value_or("");
	provider.client_id = common::trim(client.id.empty() ? own_id : client.id);
	if (client.secret.empty())
		client.secret = block.secret("client_secret").value_or(common::Secret());
	else
		block.pass_over_secret("client_secret");
	provider.client_secret = std::move(client.secret);
	block.read("client_id_parameter", provider.client_id_parameter);
}

// The block's parameters over the preset's; one that is empty takes the preset's away.
void read_parameters(TableReader &block, std::string_view key, oauth::Pairs &parameters)
{
	for (const auto &[name, value] : block.pairs(key)) {
		std::erase_if(parameters, [&](const auto &pair) { return pair.first == name; });
		if (!value.empty())
			parameters.emplace_back(name, value);
	}
}

void read_scopes(TableReader &block, oauth::Provider &provider)
{
	if (const toml::node *node = block.find("scope_separator")) {
		const std::string separator = node->value_or(std::string());
		if (separator == " " || separator == "," || separator == "+")
			provider.scope_separator = separator;
		else
			block.error("scope_separator", "it must be \" \", \",\" or \"+\"");
	}
	if (auto scopes = block.list("scopes", " \t\n\r" + provider.scope_separator))
		provider.scopes = std::move(*scopes);
}

void read_id_token(TableReader &block, oauth::Provider &provider)
{
	block.read_word("id_token", provider.id_token_optional,
					{{"required", false}, {"optional", true}});
	std::vector<std::string> allowed;
	block.read("id_token_allow", allowed);
	for (const std::string &given : allowed) {
		const std::string word = lower(given);
		if (word == "no_nonce")
			provider.id_token_allow.no_nonce = true;
		else if (word == "hs256")
			provider.id_token_allow.hs256 = true;
		else if (word == "numeric_sub")
			provider.id_token_allow.numeric_sub = true;
		else
			block.error("id_token_allow", "it must be of no_nonce, hs256 and numeric_sub");
	}
}

void read_account(TableReader &block, oauth::Provider &provider)
{
	const toml::node *node = block.find("account");
	if (node == nullptr)
		return;
	if (const auto *path = node->as_string()) {
		provider.account_id_path = path->get();
		return;
	}
	for (const auto &[name, path] : block.pairs("account"))
		if (name == "id")
			provider.account_id_path = path;
		else if (name == "label")
			provider.account_label_path = path;
		else
			block.error("account", "it must be a path, or { id = \"path\", label = \"path\" }");
}

void read_rotation(TableReader &block, oauth::Provider &provider)
{
	using Kind = oauth::Rotation::Kind;
	constexpr std::string_view kGrace = "grace:";
	constexpr std::pair<std::string_view, Kind> kRotations[] = {{"none", Kind::none},
																{"until_used", Kind::until_used},
																{"strict", Kind::strict},
																{"auto", Kind::automatic}};
	const std::optional<std::string> text = block.text("rotation");
	if (!text)
		return;
	for (const auto &[word, kind] : kRotations)
		if (word == *text) {
			provider.rotation = {kind, std::chrono::seconds(0)};
			return;
		}
	const auto seconds = text->starts_with(kGrace)
							 ? parse_number(text->substr(kGrace.size()), 1, kLongestGrace)
							 : std::nullopt;
	if (seconds)
		provider.rotation = {Kind::grace, std::chrono::seconds(*seconds)};
	else
		block.error("rotation", "it must be none, until_used, strict, auto, or grace: and seconds "
								"up to 2592000, as in grace:60");
}

void read_failures(TableReader &block, oauth::Provider &provider)
{
	for (auto &[match, word] : block.pairs("failures")) {
		const auto kind = oauth::failure_kind_of(word);
		if (!oauth::is_failure_match(match))
			block.error("failures",
						"what matches is a code, a status, 5xx or *, and maybe a colon, "
						"a space and words, as in \"invalid_grant: locked\"");
		else if (!kind)
			block.error("failures", "what it means must be one of transient, no_answer, "
									"dead_grant, needs_interaction, client_config");
		else
			provider.failures.push_back({match, *kind});
	}
}

void read_refresh(TableReader &block, oauth::Provider &provider)
{
	read_rotation(block, provider);
	block.read_flag("refresh_scopes", provider.refresh_scopes);
	block.read_flag("refresh_kills_access", provider.refresh_kills_access);
	block.read_number("refresh_ahead", provider.refresh_ahead, 0, kLongestAhead);
	block.read_number("keep_alive", provider.keep_alive, 0, kLongestDefaultLife);
	block.read_number("refreshes_per_second", provider.refreshes_per_second, 1, kMostRefreshes);
	block.read_number("default_refresh_expires_in", provider.default_refresh_expires_in, 1,
					  kLongestDefaultLife);
	read_failures(block, provider);
}

void read_answer(TableReader &block, oauth::Provider &provider)
{
	using Format = oauth::ExpiryFormat;
	block.read("access_token_path", provider.access_token_path);
	block.read("refresh_token_path", provider.refresh_token_path);
	block.read("expires_path", provider.expires_path);
	block.read("scope_path", provider.scope_path);
	block.read_word("expires_format", provider.expires_format,
					{{"auto", Format::automatic},
					 {"seconds", Format::seconds},
					 {"milliseconds", Format::milliseconds},
					 {"unix", Format::unix_seconds},
					 {"unix_milliseconds", Format::unix_milliseconds},
					 {"iso8601", Format::iso8601}});
	if (block.has("expires_format") && !block.has("expires_path"))
		block.error("expires_format",
					"it is of the member that expires_path names, which is missing");
	block.read("allow_token_types", provider.allow_token_types);
	for (std::string &type : provider.allow_token_types)
		type = lower(type);
	read_account(block, provider);
	block.read("extra", provider.extra);
	block.read("callback_extra", provider.callback_extra);
	block.read_number("default_expires_in", provider.default_expires_in, 1, kLongestDefaultLife);
}

void read_requests(TableReader &block, oauth::Provider &provider)
{
	using oauth::Body, oauth::Revoke, oauth::TokenAuth;
	read_parameters(block, "authorize_params", provider.authorize_params);
	read_parameters(block, "token_params", provider.token_params);
	read_parameters(block, "refresh_params", provider.refresh_params);
	block.read_word(
		"token_auth", provider.token_auth,
		{{"basic", TokenAuth::basic}, {"post", TokenAuth::post}, {"none", TokenAuth::none}});
	provider.token_auth_is_set |= block.has("token_auth");
	block.read_word("body", provider.body, {{"form", Body::form}, {"json", Body::json}});
	block.read_word(
		"revoke", provider.revoke,
		{{"auto", Revoke::automatic}, {"always", Revoke::always}, {"never", Revoke::never}});
	block.read_flag("pkce", provider.pkce);
	block.read_flag("require_iss", provider.require_iss);
}

void read_keys(TableReader &block, oauth::Provider &provider)
{
	read_endpoints(block, provider);
	read_scopes(block, provider);
	read_requests(block, provider);
	read_id_token(block, provider);
	read_answer(block, provider);
	read_refresh(block, provider);
}

void read_preset(const Preset &preset, std::string_view tenant, Sources &sources,
				 oauth::Provider &provider)
{
	toml::table table = toml::parse(block_of(preset, tenant)).table();
	TableReader block(table, "", sources);
	read_keys(block, provider);
	// They are asked for whatever the provider's own block asks for.
	provider.own_scopes = std::exchange(provider.scopes, {});
	// Aliases and domains stand for tenants whose tokens are of the tenant's own issuer.
	provider.issuer_per_tenant = !preset.tenant_setting.empty() && !common::is_uuid(tenant);
}

} // namespace

oauth::Provider read_provider(const std::string &name, TableReader &block, PresetClient client)
{
	const Preset *preset = chosen_preset(name, block);
	// Google's secret, say, must not go to another provider that is called google
	// and has a client of its own.
	if ((preset == nullptr || preset->name != name) &&
		(block.has_any_form("client_id") || block.has_any_form("client_secret"))) {
		if (!client.id.empty() || !client.secret.empty())
			block.sources().diagnostics.warn("providers." + name,
											 "the client in the environment is the preset's, and "
											 "not used for this provider, which has its own");
		client = PresetClient{};
	}
	oauth::Provider provider;
	const std::string tenant = chosen_tenant(block, preset, client);
	if (preset != nullptr)
		read_preset(*preset, tenant, block.sources(), provider);
	provider.name = name;
	read_client(block, std::move(client), provider);
	read_keys(block, provider);
	block.report_unknown();
	check_provider(provider, block);
	return provider;
}

} // namespace sidecar::settings
