#include "cache_entry/key_template.hpp"

#include <algorithm>
#include <stdexcept>

namespace sidecar::cache_entry
{

namespace
{

using Field = KeyTemplate::Field;
using Part = KeyTemplate::Part;
using Parts = std::vector<Part>;

constexpr std::string_view kDefault =
	"oauth:token:{provider}:{workspace_id}:{actor_type}:{actor_id}";
constexpr std::string_view kUser = "user";

struct Placeholder {
	Field field;
	std::string_view name;
	bool required;
};
constexpr Placeholder kPlaceholders[] = {{Field::provider, "provider", true},
										 {Field::workspace_id, "workspace_id", true},
										 {Field::actor_type, "actor_type", false},
										 {Field::actor_id, "actor_id", true}};

// The error, or nothing and the parts.
std::optional<std::string> split(std::string_view text, Parts &parts)
{
	for (;;) {
		const std::size_t brace = text.find_first_of("{}");
		Part &part = parts.emplace_back();
		part.literal = text.substr(0, brace);
		if (brace == text.npos)
			return std::nullopt;
		const std::size_t end = text.find_first_of("{}", brace + 1);
		if (text[brace] == '}' || end == text.npos || text[end] == '{')
			return "its braces do not pair";
		const std::string_view name = text.substr(brace + 1, end - brace - 1);
		const auto *known = std::ranges::find(kPlaceholders, name, &Placeholder::name);
		if (known == std::end(kPlaceholders))
			return "only these can be in braces: provider, workspace_id, actor_type and actor_id";
		part.field = known->field;
		text.remove_prefix(end + 1);
	}
}

bool has(const Parts &parts, Field field)
{
	return std::ranges::find(parts, field, &Part::field) != parts.end();
}

std::optional<std::string> find_error(const Parts &parts)
{
	for (const Placeholder &placeholder : kPlaceholders)
		if (placeholder.required && !has(parts, placeholder.field))
			return "it must contain {" + std::string(placeholder.name) +
				   "}, or two identities would share an entry";
	// A new epoch finds by it the entries to evict.
	if (parts.front().literal.empty())
		return "it must begin with a text of its own, as in oauth:token:{provider}, or entries "
			   "cannot be distinguished from other keys in Redis";
	return std::nullopt;
}

std::string_view value_of(const oauth::Identity &identity, Field field) noexcept
{
	switch (field) {
	case Field::provider:
		return identity.provider;
	case Field::workspace_id:
		return identity.workspace_id;
	case Field::actor_type:
		return identity.actor_type;
	case Field::actor_id:
		return identity.actor_id;
	default:
		return {};
	}
}

// Nearly every value is one run without an escape.
void append_escaped(std::string &key, std::string_view value)
{
	while (!value.empty()) {
		const auto *end = std::ranges::find_if(value, [](char c) { return c == '%' || c == ':'; });
		const auto run = static_cast<std::size_t>(end - value.begin());
		key += value.substr(0, run);
		if (run < value.size())
			key += value[run] == '%' ? "%25" : "%3A";
		value.remove_prefix(std::min(value.size(), run + 1));
	}
}

} // namespace

KeyTemplate::KeyTemplate(std::string_view text) : escapes_(text.empty())
{
	auto wrong = split(escapes_ ? kDefault : text, parts_);
	if (!wrong)
		wrong = find_error(parts_);
	if (wrong)
		throw std::invalid_argument(*wrong);
	has_actor_type_ = has(parts_, Field::actor_type);
}

std::optional<std::string> KeyTemplate::error(std::string_view text, std::string_view prefix)
{
	Parts parts;
	if (const auto wrong = split(text.empty() ? kDefault : text, parts))
		return wrong;
	if (const auto wrong = find_error(parts))
		return wrong;
	// A value may be anything, so the text before the first one has to tell them apart.
	const std::string own = std::string(prefix) + ':', &first = parts.front().literal;
	if (first.starts_with(own) || own.starts_with(first))
		return "keys of entries could begin with OAUTH_CACHE_PREFIX and a colon, as the cache's "
			   "own keys do; change one of the two";
	return std::nullopt;
}

bool KeyTemplate::caches(const oauth::Identity &identity) const noexcept
{
	return has_actor_type_ || identity.actor_type == kUser;
}

std::string KeyTemplate::key(const oauth::Identity &identity) const
{
	std::string key;
	key.reserve(kUsualSize);
	append_key(key, identity);
	return key;
}

void KeyTemplate::append_key(std::string &out, const oauth::Identity &identity) const
{
	for (const Part &part : parts_) {
		out += part.literal;
		if (escapes_)
			append_escaped(out, value_of(identity, part.field));
		else
			out += value_of(identity, part.field);
	}
}

std::string KeyTemplate::scan_pattern() const
{
	std::string pattern;
	for (const Part &part : parts_) {
		for (const char c : part.literal) {
			if (std::string_view("*?[]\\").find(c) != std::string_view::npos)
				pattern += '\\';
			pattern += c;
		}
		// Several stars in a row match no more, and take Redis longer. (The first
		// literal is not empty.)
		const bool after_star = part.literal.empty();
		if (part.field != Field::none && !after_star)
			pattern += '*';
	}
	return pattern;
}

} // namespace sidecar::cache_entry
