#include "settings/variables.hpp"

#include <cerrno>
#include <cstring>

#include "settings/dotenv.hpp"
#include "settings/file.hpp"

namespace sidecar::settings
{

namespace
{

// The extension's key, which a shared .env may well hold. The daemon never sees
// a ciphertext, so it is better off without.
constexpr std::string_view kDatabaseKey = "OAUTH_ENCRYPTION_KEY";

std::vector<std::string> known_variables()
{
	std::vector<std::string> names;
	for (const Description &setting : descriptions()) {
		names.emplace_back(setting.name);
		if (setting.secret)
			names.push_back(std::string(setting.name) + "_FILE");
	}
	return names;
}

bool contains(const std::vector<std::string> &names, std::string_view name)
{
	for (const std::string &known : names)
		if (known == name)
			return true;
	return false;
}

} // namespace

Variables::Variables(const Environment &environment, const std::string &directory,
					 Diagnostics &diagnostics)
	: environment_(environment)
{
	File file = read_file(resolved_path(".env", directory), kLargestConfiguration);
	if (file.error == ENOENT)
		return;
	if (file.error != 0) {
		diagnostics.error(".env", "the file is there and cannot be read");
		return;
	}
	dotenv_ = parse_dotenv(file.content.reveal(), diagnostics);
	bool holds_secret = false;
	for (const Description &setting : descriptions())
		holds_secret = holds_secret || (setting.secret && dotenv_.contains(setting.name));
	if (holds_secret && file.open_to_others)
		diagnostics.warn(".env",
						 "it holds secrets, and group or others can read it; chmod it to 600");
}

Variables::~Variables()
{
	for (auto &[name, value] : dotenv_)
		sidecar::wipe(value);
}

const std::string *Variables::find(std::string_view name)
{
	asked_.emplace(name);
	for (const Environment *source : sources())
		if (const auto found = source->find(name); found != source->end())
			return &found->second;
	return nullptr;
}

const Environment *Variables::first_with(std::string_view name, std::string_view other) const
{
	for (const Environment *source : sources())
		if (source->contains(name) || source->contains(other))
			return source;
	return nullptr;
}

void Variables::warn_of_unknown(Diagnostics &diagnostics) const
{
	const std::vector<std::string> known = known_variables();
	std::set<std::string_view> names;
	for (const Environment *source : sources())
		for (const auto &[name, value] : *source)
			names.insert(name);
	for (const std::string_view name : names) {
		if (name == kDatabaseKey)
			diagnostics.warn(name, "it is the database server's, and the daemon does not need it; "
								   "keep it out of the daemon's environment");
		else if (name.starts_with("OAUTH_") && !contains(known, name) && !asked_.contains(name))
			diagnostics.warn(shown_name(name), "no such setting" + nearest_hint(name, known));
	}
}

} // namespace sidecar::settings
