// A table of the TOML file while it is read: each key by its kind, with an error
// where it is of another, and at the end an error for each key nobody asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret_string.hpp"
#include "oauth/provider.hpp"
#include "settings/diagnostics.hpp"
#include "settings/toml_document.hpp"
#include "settings/variables.hpp"

namespace sidecar::settings
{

// What reading a secret needs beside the key's own value.
struct SecretSources {
	Variables &variables;
	const std::string &directory; // for relative paths
	Diagnostics &diagnostics;
	bool open_to_others; // group or others can read the TOML file
};

class TableReader
{
public:
	// `prefix`: "providers.google.", or nothing at the top.
	TableReader(TomlTable &table, std::string prefix, SecretSources place);

	// The key as messages name it.
	std::string name_of(std::string_view key) const { return prefix_ + std::string(key); }
	void error(std::string_view key, std::string_view message) const;
	bool has(std::string_view key) const;

	// The value as it is, and the key as one that is known; null where absent.
	TomlValue *find(std::string_view key);

	// Nothing where the key is absent, or of the wrong kind, or empty, which are errors.
	std::optional<std::string> text(std::string_view key);
	std::optional<bool> flag(std::string_view key);
	std::optional<long long> number(std::string_view key, long long low, long long high);
	// A text, or a number or flag written without quotes: as a variable's value would be.
	std::optional<std::string> scalar(std::string_view key);
	// An array of texts, or one text split at `separators`. May be empty.
	std::optional<std::vector<std::string>> list(std::string_view key, std::string_view separators);
	// A table of texts, numbers and flags.
	oauth::Pairs pairs(std::string_view key);

	// By `key`, `key_env` or `key_file`; two of them are an error.
	std::optional<Secret> secret(std::string_view key);
	// Where something stronger gives it, and these are not even looked at.
	void pass_over_secret(std::string_view key);
	// By `key` or `key_env`.
	std::optional<std::string> text_or_variable(std::string_view key);

	void report_unknown() const;

private:
	std::optional<std::string> variable(std::string_view key);

	TomlTable &table_;
	std::string prefix_;
	SecretSources place_;
	std::vector<std::string> known_;
};

// An error where `secret` is empty or has control characters.
bool check_secret(std::string_view setting, const Secret &secret, Diagnostics &diagnostics);

} // namespace sidecar::settings
