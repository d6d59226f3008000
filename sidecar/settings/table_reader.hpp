// A table of the TOML file while it is read: an error for each key whose value is of
// another kind, and at the end for each key that nobody asked for.
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
	void error(std::string_view key, std::string_view message) const;
	void warn(std::string_view key, std::string_view message) const;
	bool has(std::string_view key) const { return table_.contains(key); }
	// `key`, `key_env` or `key_file`.
	bool has_any_form(std::string_view key) const;

	// The value as it is, or null. The key counts as known from now on.
	toml::node *find(std::string_view key);

	// Nothing if the key is absent; or if it is of the wrong kind or empty, which are errors.
	std::optional<std::string> text(std::string_view key);
	// A text, or a number or flag written without quotes: as a variable's value would be.
	std::optional<std::string> scalar(std::string_view key);
	// An array of texts, or one text split at `separators`. May be empty.
	std::optional<std::vector<std::string>> list(std::string_view key,
												 std::string_view separators = ", ");
	// A table of texts, numbers and flags.
	oauth::Pairs pairs(std::string_view key);

	// These store what is given; otherwise `to` stays.
	void read(std::string_view key, std::string &to);
	void read(std::string_view key, std::vector<std::string> &to);
	template <class Flag>
	void read_flag(std::string_view key, Flag &to)
	{
		if (const auto *flag = of_kind<bool>(key, "it must be true or false, without quotes"))
			to = flag->get();
	}
	// int, or seconds
	template <class Number>
	void read_number(std::string_view key, Number &to, int low, int high)
	{
		if (const auto number = this->number(key, low, high))
			to = Number(*number);
	}
	// A text that is one of `words`, each with its meaning.
	template <class Meaning>
	using Words = std::initializer_list<std::pair<std::string_view, std::type_identity_t<Meaning>>>;
	template <class Meaning>
	void read_word(std::string_view key, Meaning &to, Words<Meaning> words);

	// By `key`, `key_env` or `key_file`; two of them are an error.
	std::optional<common::Secret> secret(std::string_view key);
	// If a stronger source gives it: these keys are known, and ignored.
	void pass_over_secret(std::string_view key);
	// By `key` or `key_env`.
	std::optional<std::string> text_or_variable(std::string_view key);

	void report_unknown() const;

private:
	// Null if the key is absent; or if it is no Wanted, which is an error.
	template <class Wanted>
	auto *of_kind(std::string_view key, std::string_view message)
	{
		toml::node *node = find(key);
		auto *wanted = node == nullptr ? nullptr : node->as<Wanted>();
		if (node != nullptr && wanted == nullptr)
			error(key, message);
		return wanted;
	}
	std::optional<int> number(std::string_view key, int low, int high);
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
	std::string known;
	for (const auto &[word, meaning] : words) {
		if (word == given) {
			to = meaning;
			return;
		}
		known += (known.empty() ? "" : ", ") + std::string(word);
	}
	if (given)
		error(key, "it must be one of " + known);
}

} // namespace sidecar::settings
