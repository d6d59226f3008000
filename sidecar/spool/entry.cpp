#include "spool/entry.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <charconv>
#include <optional>
#include <utility>

#include "oauth/json.hpp"

namespace sidecar::spool
{

namespace
{

namespace json = boost::json;

constexpr std::int64_t kVersion = 1;

// The members that are texts, in the file's order.
template <typename EntryType, typename Visit>
bool visit_texts(EntryType &entry, std::string &fence, Visit visit)
{
	return visit("cluster", entry.cluster) && visit("workspace_id", entry.identity.workspace_id) &&
		   visit("provider", entry.identity.provider) &&
		   visit("actor_type", entry.identity.actor_type) &&
		   visit("actor_id", entry.identity.actor_id) && visit("fence", fence) &&
		   visit("sealed", entry.sealed);
}

// Nothing if the text is not what std::to_string() makes of a number above 0.
std::optional<std::int64_t> parse_fence(const std::string &text)
{
	std::int64_t fence = 0;
	const auto read = std::from_chars(text.data(), text.data() + text.size(), fence);
	if (read.ec != std::errc() || fence <= 0 || std::to_string(fence) != text)
		return std::nullopt;
	return fence;
}

} // namespace

std::string write_entry(const Entry &entry)
{
	json::object object;
	object["version"] = kVersion;
	std::string fence = std::to_string(entry.fence);
	visit_texts(entry, fence, [&object](std::string_view name, const std::string &text) {
		object[name] = text;
		return true;
	});
	return json::serialize(object) + '\n';
}

std::variant<Entry, std::string> read_entry(std::string_view text)
{
	// The line feed is written last.
	if (!text.ends_with('\n'))
		return "it ends in the middle";
	text.remove_suffix(1);
	const auto value = oauth::parse_json(text, 2);
	const json::object *object = value ? value->if_object() : nullptr;
	if (object == nullptr)
		return "it is not one line of JSON";
	const json::value *version = object->if_contains("version");
	if (version == nullptr || !version->is_int64() || version->get_int64() != kVersion)
		return "it is not of version 1, the one that this oauth-sidecar reads";
	Entry entry;
	std::string fence, missing;
	if (!visit_texts(entry, fence, [&](std::string_view name, std::string &member) {
			const json::value *found = object->if_contains(name);
			const json::string *found_text = found != nullptr ? found->if_string() : nullptr;
			if (found_text == nullptr || found_text->empty())
				return missing = name, false;
			member = std::string_view(*found_text);
			return true;
		}))
		return "its member \"" + missing + "\" is missing, empty or not a text";
	const auto number = parse_fence(fence);
	if (!number)
		return "its member \"fence\" is not a number above 0";
	entry.fence = *number;
	return entry;
}

} // namespace sidecar::spool
