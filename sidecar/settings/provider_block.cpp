#include "settings/provider_block.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.hpp"
#include "settings/presets.hpp"
#include "settings/provider_rules.hpp"

namespace sidecar::settings
{

namespace
{

template <class Kind>
struct Word {
	std::string_view word;
	Kind kind;
};
constexpr Word<oauth::TokenAuth> kTokenAuths[] = {{"basic", oauth::TokenAuth::basic},
												  {"post", oauth::TokenAuth::post},
												  {"none", oauth::TokenAuth::none}};
constexpr Word<oauth::Body> kBodies[] = {{"form", oauth::Body::form}, {"json", oauth::Body::json}};
constexpr Word<oauth::Revoke> kRevokes[] = {{"auto", oauth::Revoke::automatic},
											{"always", oauth::Revoke::always},
											{"never", oauth::Revoke::never}};
constexpr Word<oauth::ExpiryFormat> kExpiryFormats[] = {
	{"auto", oauth::ExpiryFormat::automatic},
	{"seconds", oauth::ExpiryFormat::seconds},
	{"milliseconds", oauth::ExpiryFormat::milliseconds},
	{"unix", oauth::ExpiryFormat::unix_seconds},
	{"unix_milliseconds", oauth::ExpiryFormat::unix_milliseconds},
	{"iso8601", oauth::ExpiryFormat::iso8601}};
constexpr Word<bool> kIdTokens[] = {{"required", false}, {"optional", true}};

constexpr std::string_view kGrace = "grace:";
constexpr int kLongestGrace = 30 * 24 * 3600;
constexpr int kLongestDefaultLife = 10 * 365 * 24 * 3600;
constexpr int kLongestAhead = 30 * 24 * 3600;
constexpr int kMostRefreshes = 1000; // a second

template <class Kind, std::size_t size>
void read_word(TableReader &block, std::string_view key, const Word<Kind> (&words)[size],
			   Kind &kind)
{
	const std::optional<std::string> text = block.text(key);
	if (!text)
		return;
	std::string known;
	for (const Word<Kind> &candidate : words) {
		if (candidate.word == *text) {
			kind = candidate.kind;
			return;
		}
		known += (known.empty() ? "" : ", ") + std::string(candidate.word);
	}
	block.error(key, "it must be one of " + known);
}

// The block's own words, or the preset of its own name where it says nothing of
// where the provider is.
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

std::string chosen_tenant(TableReader &block, const Preset *preset, const ClientOverride &given)
{
	std::optional<std::string> tenant = block.text("tenant");
	const bool has_tenants = preset != nullptr && !preset->tenant_setting.empty();
	if (tenant && !has_tenants)
		block.error("tenant", "only preset = \"microsoft\" has tenants");
	else if (tenant && !is_tenant(*tenant))
		block.error("tenant", "it must be common, organizations, consumers, a domain or a GUID");
	else if (tenant && !given.tenant)
		return lower(*tenant);
	return given.tenant ? lower(*given.tenant) : std::string(kDefaultTenant);
}

void read_endpoints(TableReader &block, oauth::Provider &provider)
{
	oauth::ProviderEndpoints &endpoints = provider.endpoints;
	if (auto issuer = block.text("issuer")) {
		endpoints.issuer = std::move(*issuer);
		provider.issuer_per_tenant = false;
	}
	const std::pair<std::string_view, std::string *> addresses[] = {
		{"authorization_endpoint", &endpoints.authorization},
		{"token_endpoint", &endpoints.token},
		{"refresh_endpoint", &endpoints.refresh},
		{"revocation_endpoint", &endpoints.revocation}};
	for (const auto &[key, address] : addresses)
		if (auto text = block.text(key))
			*address = std::move(*text);
	provider.discovers =
		!endpoints.issuer.empty() && (endpoints.authorization.empty() || endpoints.token.empty());
}

bool has_own_client(const TableReader &block)
{
	for (const char *key :
		 {"client_id", "client_id_env", "client_secret", "client_secret_env", "client_secret_file"})
		if (block.has(key))
			return true;
	return false;
}

void read_client(TableReader &block, ClientOverride &given, oauth::Provider &provider)
{
	std::optional<std::string> client_id = std::move(given.client_id);
	std::optional<Secret> client_secret = std::move(given.client_secret);
	std::optional<std::string> own_id = block.text_or_variable("client_id");
	if (!client_id)
		client_id = std::move(own_id);
	if (client_secret)
		block.pass_over_secret("client_secret");
	else
		client_secret = block.secret("client_secret");
	if (client_id)
		provider.client_id = std::string(trimmed(*client_id));
	if (auto name = block.text("client_id_parameter"))
		provider.client_id_parameter = std::move(*name);
	if (client_secret)
		provider.client_secret = std::move(*client_secret);
}

// The block's parameters over the preset's; one that is empty takes the preset's away.
void merge(oauth::Pairs &parameters, const oauth::Pairs &own)
{
	for (const auto &[name, value] : own) {
		std::erase_if(parameters, [&](const auto &pair) { return pair.first == name; });
		if (!value.empty())
			parameters.emplace_back(name, value);
	}
}

void read_scopes(TableReader &block, oauth::Provider &provider)
{
	if (const auto separator = block.find("scope_separator")) {
		const auto *text = std::get_if<std::string>(&separator->data);
		if (text != nullptr && (*text == " " || *text == "," || *text == "+"))
			provider.scope_separator = *text;
		else
			block.error("scope_separator", "it must be \" \", \",\" or \"+\"");
	}
	if (auto scopes = block.list("scopes", " \t\n\r" + provider.scope_separator))
		provider.scopes = std::move(*scopes);
}

void read_id_token(TableReader &block, oauth::Provider &provider)
{
	read_word(block, "id_token", kIdTokens, provider.id_token_optional);
	const std::pair<std::string_view, bool *> known[] = {
		{"no_nonce", &provider.id_token_allow.no_nonce},
		{"hs256", &provider.id_token_allow.hs256},
		{"numeric_sub", &provider.id_token_allow.numeric_sub}};
	for (const std::string &word :
		 block.list("id_token_allow", ", ").value_or(std::vector<std::string>())) {
		const auto found =
			std::ranges::find(known, lower(word), &std::pair<std::string_view, bool *>::first);
		if (found == std::end(known))
			block.error("id_token_allow", "it must be of no_nonce, hs256 and numeric_sub");
		else
			*found->second = true;
	}
}

void read_account(TableReader &block, oauth::Provider &provider)
{
	TomlValue *value = block.find("account");
	if (value == nullptr)
		return;
	if (const auto *path = std::get_if<std::string>(&value->data)) {
		provider.account_id_path = *path;
		return;
	}
	const oauth::Pairs parts = block.pairs("account");
	for (const auto &[name, path] : parts)
		if (name == "id")
			provider.account_id_path = path;
		else if (name == "label")
			provider.account_label_path = path;
		else
			block.error("account", "it must be a path, or { id = \"path\", label = \"path\" }");
}

void read_rotation(TableReader &block, oauth::Provider &provider)
{
	const std::optional<std::string> text = block.text("rotation");
	if (!text)
		return;
	using Kind = oauth::Rotation::Kind;
	const bool is_grace = text->starts_with(kGrace);
	const auto seconds =
		is_grace ? parse_number(text->substr(kGrace.size()), 1, kLongestGrace) : std::nullopt;
	constexpr Word<Kind> kRotations[] = {{"none", Kind::none},
										 {"until_used", Kind::until_used},
										 {"strict", Kind::strict},
										 {"auto", Kind::automatic}};
	const auto *known = std::ranges::find(kRotations, *text, &Word<Kind>::word);
	if (known != std::end(kRotations))
		provider.rotation = {known->kind, std::chrono::seconds(0)};
	else if (seconds)
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
	provider.refresh_scopes = block.flag("refresh_scopes").value_or(provider.refresh_scopes);
	provider.refresh_kills_access =
		block.flag("refresh_kills_access").value_or(provider.refresh_kills_access);
	if (const auto seconds = block.number("refresh_ahead", 0, kLongestAhead))
		provider.refresh_ahead = std::chrono::seconds(*seconds);
	if (const auto seconds = block.number("keep_alive", 0, kLongestDefaultLife))
		provider.keep_alive = std::chrono::seconds(*seconds);
	if (const auto number = block.number("refreshes_per_second", 1, kMostRefreshes))
		provider.refreshes_per_second = static_cast<int>(*number);
	if (const auto seconds = block.number("default_refresh_expires_in", 1, kLongestDefaultLife))
		provider.default_refresh_expires_in = static_cast<int>(*seconds);
	read_failures(block, provider);
}

void read_answer(TableReader &block, oauth::Provider &provider)
{
	const std::pair<std::string_view, std::string *> paths[] = {
		{"access_token_path", &provider.access_token_path},
		{"refresh_token_path", &provider.refresh_token_path},
		{"expires_path", &provider.expires_path},
		{"scope_path", &provider.scope_path}};
	for (const auto &[key, path] : paths)
		if (auto text = block.text(key))
			*path = std::move(*text);
	read_word(block, "expires_format", kExpiryFormats, provider.expires_format);
	if (block.has("expires_format") && !block.has("expires_path"))
		block.error("expires_format",
					"it is of the member that expires_path names, which is missing");
	if (auto types = block.list("allow_token_types", ", "))
		for (const std::string &type : *types)
			provider.allow_token_types.push_back(lower(type));
	read_account(block, provider);
	if (auto extra = block.list("extra", ", "))
		provider.extra = std::move(*extra);
	if (auto extra = block.list("callback_extra", ", "))
		provider.callback_extra = std::move(*extra);
	if (const auto seconds = block.number("default_expires_in", 1, kLongestDefaultLife))
		provider.default_expires_in = static_cast<int>(*seconds);
}

} // namespace

oauth::Provider read_provider(const std::string &name, TableReader &block, ClientOverride given,
							  Diagnostics &diagnostics)
{
	const Preset *preset = chosen_preset(name, block);
	// Google's secret, say, must not go to another provider that is called google
	// and has a client of its own.
	if ((preset == nullptr || preset->name != name) && has_own_client(block)) {
		if (given.client_id || given.client_secret)
			diagnostics.warn("providers." + name,
							 "the client in the environment is the preset's, and "
							 "not used for this provider, which has its own");
		given = ClientOverride{};
	}
	const std::string tenant = chosen_tenant(block, preset, given);
	oauth::Provider provider;
	if (preset != nullptr)
		provider = provider_of(*preset, tenant);
	provider.name = name;

	read_endpoints(block, provider);
	read_client(block, given, provider);
	read_scopes(block, provider);
	merge(provider.authorize_params, block.pairs("authorize_params"));
	merge(provider.token_params, block.pairs("token_params"));
	merge(provider.refresh_params, block.pairs("refresh_params"));
	read_word(block, "token_auth", kTokenAuths, provider.token_auth);
	provider.token_auth_is_set = provider.token_auth_is_set || block.has("token_auth");
	read_word(block, "body", kBodies, provider.body);
	read_word(block, "revoke", kRevokes, provider.revoke);
	read_id_token(block, provider);
	provider.pkce = block.flag("pkce").value_or(provider.pkce);
	if (const auto required = block.flag("require_iss"))
		provider.require_iss = required;
	read_answer(block, provider);
	read_refresh(block, provider);
	block.report_unknown();
	check_provider(provider, block, diagnostics);
	return provider;
}

} // namespace sidecar::settings
