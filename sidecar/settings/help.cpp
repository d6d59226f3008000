#include "base/text.hpp"
#include "settings/settings_table.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::size_t kColumns = 80;
constexpr std::string_view kIndent = "        ";

// `text` in lines of at most kColumns, broken at spaces.
void append_wrapped(std::string &to, std::string_view text)
{
	std::size_t column = 0;
	for (const std::string &word : split(text, " ")) {
		if (column != 0 && column + 1 + word.size() > kColumns) {
			to += '\n';
			column = 0;
		}
		to += column == 0 ? kIndent : " ";
		column += (column == 0 ? kIndent.size() : 1) + word.size();
		to += word;
	}
	to += '\n';
}

} // namespace

std::string help_text()
{
	std::string text =
		"usage: oauth-sidecar [--check] [--config FILE] | --help | --version\n\n"
		"Connects OAuth accounts in the browser and hands out their tokens, which\n"
		"PostgreSQL keeps. It stays in the foreground and logs to standard error.\n\n"
		"  --check        say whether it would start and work, and exit\n"
		"  -c, --config   the TOML file, instead of OAUTH_CONFIG\n"
		"  -h, --help     this text\n"
		"  -V, --version  the version\n\n"
		"Settings, as environment variables, in .env or in oauth-sidecar.toml (there in\n"
		"lower case and without OAUTH_). (+) may come from a file: NAME_FILE=PATH.\n\n";
	for (const Setting &setting : settings_table()) {
		text +=
			"  " + std::string(setting.name) + (setting.kind == Kind::secret ? " (+)" : "") + "\n";
		std::string_view otherwise = setting.default_value;
		if (otherwise.starts_with('('))
			otherwise = otherwise.substr(1, otherwise.size() - 2);
		std::string meaning(setting.help);
		if (!otherwise.empty())
			meaning += " [" + std::string(otherwise) + "]";
		append_wrapped(text, meaning);
	}
	return text;
}

} // namespace sidecar::settings
