// The Redis key of an identity's entry (docs/design/cache.md, "Entries").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oauth/attempt.hpp"

namespace sidecar::cache_entry
{

class KeyTemplate
{
public:
	static constexpr std::size_t kUsualSize = 192; // of a key, or less

	// Empty: the cache's own form, in which '%' and ':' inside a value are written
	// %25 and %3A. Any other template takes the values unescaped. Throws
	// std::invalid_argument if the text has an error of its own.
	explicit KeyTemplate(std::string_view text = {});

	// What is wrong with the text, or nothing: a placeholder that is missing or
	// unknown, braces that do not pair, no text of its own at the beginning, or
	// one there that does not tell its keys from the cache's own under `prefix`. An
	// empty text can only have the last error.
	static std::optional<std::string> error(std::string_view text, std::string_view prefix);

	// Without {actor_type}, only users are cached. Otherwise an API key with a user's id would
	// read the user's token.
	bool caches(const oauth::Identity &identity) const noexcept;

	std::string key(const oauth::Identity &identity) const;
	void append_key(std::string &out, const oauth::Identity &identity) const;

	// A glob pattern of Redis that matches every key that this can make.
	std::string scan_pattern() const;

	// A text, and the field that follows it.
	enum class Field { none, provider, workspace_id, actor_type, actor_id };
	struct Part {
		std::string literal;
		Field field = Field::none; // none: the end
	};

private:
	std::vector<Part> parts_;
	bool escapes_;
	bool has_actor_type_;
};

} // namespace sidecar::cache_entry
