// A table of the TOML file while it is read: each key by its kind, with an error
// where it is of another, and at the end an error for each key nobody asked for.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/secret_string.hpp"
#include "oauth/provider.hpp"
#include "settings/sources.hpp"

namespace sidecar::settings
{

class TableReader
{
public:
	// `prefix`: "providers.google.", or nothing at the top.
	TableReader(toml::table &table, std::string prefix, Sources &sources)
		: table_(table), prefix_(std::move(prefix)), sources_(sources)
	{
	}

	Sources &sources() const noexcept { return sources_; }
	// The key as messages name it.
	std::string name_of(std::string_view key) const { return prefix_ + std::string(key); }
	void error(std::string_view key, std::string_view message) const;
	void warn(std::string_view key, std::string_view message) const;
	bool has(std::string_view key) const { return table_.contains(key); }
	// `key`, `key_env` or `key_file`.
	bool has_any_form(std::string_view key) const;

	// The value as it is, and the key as one that is known; null where absent.
	toml::node *find(std::string_view key);

	// Nothing where the key is absent, or of the wrong kind, or empty, which are errors.
	std::optional<std::string> text(std::string_view key);
	std::optional<bool> flag(std::string_view key);
	std::optional<int> number(std::string_view key, int low, int high);
	// A text, or a number or flag written without quotes: as a variable's value would be.
	std::optional<std::string> scalar(std::string_view key);
	// An array of texts, or one text split at `separators`. May be empty.
	std::optional<std::vector<std::string>> list(std::string_view key,
												 std::string_view separators = ", ");
	// A table of texts, numbers and flags.
	oauth::Pairs pairs(std::string_view key);

	// Store what text(), flag(), number() and list() find; otherwise nothing changes.
	void read(std::string_view key, std::string &to);
	void read(std::string_view key, std::vector<std::string> &to);
	template <class Flag>
	void read_flag(std::string_view key, Flag &to)
	{
		if (const auto given = flag(key))
			to = *given;
	}
	template <class Number>
	void read_number(std::string_view key, Number &to, int low, int high)
	{
		if (const auto given = number(key, low, high))
			to = Number(*given);
	}
	// A text that is one of `words`, each with its meaning.
	template <class Meaning>
	using Words = std::initializer_list<std::pair<std::string_view, std::type_identity_t<Meaning>>>;
	template <class Meaning>
	void read_word(std::string_view key, Meaning &to, Words<Meaning> words);

	// By `key`, `key_env` or `key_file`; two of them are an error.
	std::optional<Secret> secret(std::string_view key);
	// Where something stronger gives it, and these are not even looked at.
	void pass_over_secret(std::string_view key);
	// By `key` or `key_env`.
	std::optional<std::string> text_or_variable(std::string_view key);

	void report_unknown() const;

private:
	std::optional<std::string> variable(std::string_view key);

	toml::table &table_;
	std::string prefix_;
	Sources &sources_;
	std::vector<std::string> known_;
};

template <class Meaning>
void TableReader::read_word(std::string_view key, Meaning &to, Words<Meaning> words)
{
	const std::optional<std::string> given = text(key);
	if (!given)
		return;
	std::string known;
	for (const auto &[word, meaning] : words) {
		if (word == *given) {
			to = meaning;
			return;
		}
		known += (known.empty() ? "" : ", ") + std::string(word);
	}
	error(key, "it must be one of " + known);
}

} // namespace sidecar::settings
