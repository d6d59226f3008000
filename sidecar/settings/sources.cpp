#define TOML_IMPLEMENTATION
#include "settings/sources.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "settings/dotenv.hpp"
#include "settings/file.hpp"
#include "settings/settings_table.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kConfig = "OAUTH_CONFIG";
constexpr std::string_view kDefaultConfig = "oauth-sidecar.toml";
// The extension's key, which a shared .env may well hold. The daemon never sees
// a ciphertext, so it is better off without.
constexpr std::string_view kDatabaseKey = "OAUTH_ENCRYPTION_KEY";

void wipe_texts(toml::node &node)
{
	if (auto *text = node.as_string())
		common::wipe(text->get());
	else if (auto *array = node.as_array())
		for (toml::node &element : *array)
			wipe_texts(element);
	else if (auto *table = node.as_table())
		for (auto &&[key, value] : *table)
			wipe_texts(value);
}

std::vector<std::string> known_variables()
{
	std::vector<std::string> names;
	for (const Setting &setting : settings_table()) {
		names.emplace_back(setting.name);
		if (setting.kind == Kind::secret)
			names.push_back(setting.file_name());
	}
	return names;
}

} // namespace

Sources::Sources(const Environment &environment, std::string place, Diagnostics &faults)
	: directory(std::move(place)), diagnostics(faults), environment_(environment)
{
	read_dotenv();
	read_toml();
}

Sources::~Sources()
{
	for (auto &[name, value] : dotenv_)
		common::wipe(value);
	wipe_texts(toml);
	wipe_texts(token_blocks);
}

void Sources::read_dotenv()
{
	const File file = read_file(resolved_path(".env", directory), kLargestConfiguration);
	if (file.error == ENOENT)
		return;
	if (file.error != 0)
		return diagnostics.error(".env", "the file is there and cannot be read");
	dotenv_ = parse_dotenv(file.content.reveal(), diagnostics);
	const bool holds_secret = std::ranges::any_of(settings_table(), [&](const Setting &setting) {
		return setting.kind == Kind::secret && dotenv_.contains(setting.name);
	});
	if (holds_secret && file.open_to_others)
		diagnostics.warn(".env",
						 "it holds secrets, and group or others can read it; chmod it to 600");
}

void Sources::read_toml()
{
	const std::string *named = variable(kConfig);
	const std::string_view setting = named != nullptr ? kConfig : kDefaultConfig;
	if (named != nullptr && common::trim(*named).empty())
		return diagnostics.error(kConfig, "it is empty; name a file, or leave it out");
	const File file =
		read_file(resolved_path(named != nullptr ? *named : kDefaultConfig, directory),
				  kLargestConfiguration);
	if (file.error == ENOENT && named == nullptr)
		return;
	if (file.error != 0)
		return diagnostics.error(setting, file.error == ENOENT
											  ? "there is no such file"
											  : "the file is there and cannot be read");
	toml_is_open = file.open_to_others;
	toml::parse_result result = toml::parse(file.content.reveal());
	if (result) {
		toml = std::move(result).table();
		return take_token_blocks();
	}
	// The parser's own message may quote the line.
	const toml::source_position at = result.error().source().begin;
	diagnostics.error(setting, "the file is not TOML: look at line " + std::to_string(at.line) +
								   ", column " + std::to_string(at.column) +
								   " for a missing quote or bracket, or a key that is there twice");
}

// They are blocks, while `api_tokens` with a text is a setting.
void Sources::take_token_blocks()
{
	constexpr std::string_view kKey = "api_tokens";
	toml::node *node = toml.get(kKey);
	if (node == nullptr || node->is_string())
		return;
	if (toml::array *blocks = node->as_array())
		token_blocks = std::move(*blocks);
	else
		diagnostics.error(kKey, "each token is a block, headed [[api_tokens]]; a list of "
								"unrestricted ones belongs into OAUTH_API_TOKENS");
	toml.erase(kKey);
}

const std::string *Sources::variable(std::string_view name)
{
	asked_.emplace(name);
	for (const Environment *source : variables())
		if (const auto found = source->find(name); found != source->end())
			return &found->second;
	return nullptr;
}

const Environment *Sources::first_with(std::string_view name, std::string_view other) const
{
	for (const Environment *source : variables())
		if (source->contains(name) || source->contains(other))
			return source;
	return nullptr;
}

void Sources::warn_of_unknown() const
{
	const std::vector<std::string> known = known_variables();
	std::set<std::string_view> names;
	for (const Environment *source : variables())
		for (const auto &[name, value] : *source)
			names.insert(name);
	for (const std::string_view name : names) {
		const bool is_known =
			asked_.contains(name) || std::ranges::find(known, name) != known.end();
		if (name == kDatabaseKey)
			diagnostics.warn(name, "it is the database server's, and the daemon does not need it; "
								   "keep it out of the daemon's environment");
		else if (name.starts_with("OAUTH_") && !is_known)
			diagnostics.warn(shown_name(name), "no such setting" + nearest_hint(name, known));
	}
}

} // namespace sidecar::settings
