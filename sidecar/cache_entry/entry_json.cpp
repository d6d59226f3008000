#include "cache_entry/entry_json.hpp"

#include <boost/json/basic_parser_impl.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/json_text.hpp"
#include "common/time_text.hpp"

namespace sidecar::cache_entry
{

namespace
{

namespace json = boost::json;

constexpr std::size_t kMaxDepth = 16;
void append_text(common::Secret &out, std::string_view text)
{
	constexpr char kDigits[] = "0123456789abcdef";
	out.append("\"");
	while (!text.empty()) {
		const auto *end = std::ranges::find_if_not(text, common::is_plain_in_json);
		const auto plain = static_cast<std::size_t>(end - text.begin());
		out.append(text.substr(0, plain));
		text.remove_prefix(plain);
		if (text.empty())
			break;
		const char c = text.front();
		const char control[] = {'\\', 'u', '0', '0', kDigits[c >> 4 & 15], kDigits[c & 15]};
		const char quoted[] = {'\\', c};
		const bool is_control = static_cast<unsigned char>(c) < 0x20;
		out.append(is_control ? std::string_view(control, 6) : std::string_view(quoted, 2));
		text.remove_prefix(1);
	}
	out.append("\"");
}

// Reads the form that write_entry_json() writes if all of it is plain ASCII, as nearly every entry
// is: its members in their order, no white space and no escape.
class OwnForm
{
public:
	explicit OwnForm(std::string_view text) : rest_(text) {}

	// False if it is another form, which may be an entry, too.
	bool read(KeyName key_name, Entry &entry)
	{
		std::optional<std::string_view> text;
		if (!takes(R"({"access_token":)") || !take(text) || !text || text->empty())
			return false;
		entry.access_token = common::Secret(*text);
		if (!takes(R"(,"refresh_token":)") || !take(text))
			return false;
		if (text)
			entry.refresh_token.emplace(*text);
		if (!takes(R"(,"expires_at":)") || !take(text))
			return false;
		if (text && !(entry.expires_at = common::parse_time(*text)))
			return false;
		if (!takes(R"(,"scope":)") || !take(text))
			return false;
		if (text)
			entry.scope.emplace(*text);
		if (key_name && (!takes(R"(,"key":)") || !take(text) || text != key_name))
			return false;
		if (key_name && takes(R"(,"fill":)")) {
			if (!take(text) || !text)
				return false;
			entry.fill = *text;
		}
		return rest_ == "}";
	}

private:
	bool takes(std::string_view literal)
	{
		const bool is_next = rest_.starts_with(literal);
		if (is_next)
			rest_.remove_prefix(literal.size());
		return is_next;
	}

	// A string or null; false if it is neither.
	bool take(std::optional<std::string_view> &text)
	{
		text.reset();
		if (takes("null"))
			return true;
		if (!takes("\""))
			return false;
		text = rest_.substr(0, common::plain_ascii_in_json(rest_));
		rest_.remove_prefix(text->size());
		return takes("\"");
	}

	std::string_view rest_;
};

// Takes the members as json::basic_parser finds them. To build a value of all of them would
// cost three times as much, and every read does this.
class Handler
{
public:
	static constexpr std::size_t max_object_size = std::numeric_limits<std::uint32_t>::max();
	static constexpr std::size_t max_array_size = max_object_size;
	static constexpr std::size_t max_key_size = kMaxValueBytes;
	static constexpr std::size_t max_string_size = kMaxValueBytes;

	using Error = json::error_code;
	using Text = json::string_view;

	explicit Handler(KeyName key_name) : key_name_(key_name) {}

	bool is_complete() const noexcept { return seen(access_token) && (!key_name_ || seen(key)); }
	Entry take() { return std::move(entry_); }

	bool on_document_begin(Error &) { return true; }
	bool on_document_end(Error &) { return true; }
	bool on_object_begin(Error &error)
	{
		if (depth_++ == 0)
			return true;
		return other_type(error);
	}
	bool on_object_end(std::size_t, Error &) { return --depth_, true; }
	bool on_array_begin(Error &error) { return depth_++ == 0 ? fail(error) : other_type(error); }
	bool on_array_end(std::size_t, Error &) { return --depth_, true; }
	bool on_key_part(Text part, std::size_t, Error &)
	{
		if (depth_ == 1)
			name_.append(part.data(), part.size());
		return true;
	}
	bool on_key(Text part, std::size_t, Error &error)
	{
		if (depth_ != 1)
			return true;
		std::string_view name(part.data(), part.size());
		if (!name_.empty())
			name = name_.append(name);
		member_ = member_of(name);
		name_.clear();
		if (member_ == unknown)
			return true;
		if (seen(member_))
			return fail(error);
		seen_ |= 1u << member_;
		return true;
	}
	bool on_string_part(Text part, std::size_t, Error &)
	{
		if (is_wanted())
			text_.append({part.data(), part.size()});
		return true;
	}
	bool on_string(Text part, std::size_t, Error &error)
	{
		if (!is_wanted())
			return depth_ > 0 || fail(error);
		if (text_.empty())
			return keep({part.data(), part.size()}) || fail(error);
		text_.append({part.data(), part.size()});
		const bool good = keep(text_.reveal());
		text_.wipe();
		return good || fail(error);
	}
	bool on_number_part(Text, Error &) { return true; }
	bool on_int64(std::int64_t, Text, Error &error) { return other_type(error); }
	bool on_uint64(std::uint64_t, Text, Error &error) { return other_type(error); }
	bool on_double(double, Text, Error &error) { return other_type(error); }
	bool on_bool(bool, Error &error) { return other_type(error); }
	bool on_null(Error &error)
	{
		const bool may_be_null = member_ != access_token && member_ != key && member_ != fill;
		return (depth_ > 0 && (!is_wanted() || may_be_null)) || fail(error);
	}
	bool on_comment_part(Text, Error &) { return true; }
	bool on_comment(Text, Error &) { return true; }

private:
	enum Member { unknown, access_token, refresh_token, expires_at, scope, key, fill };

	Member member_of(std::string_view name) const noexcept
	{
		if (name == "access_token")
			return access_token;
		if (name == "refresh_token")
			return refresh_token;
		if (name == "expires_at")
			return expires_at;
		if (name == "scope")
			return scope;
		if (!key_name_)
			return unknown;
		return name == "key" ? key : name == "fill" ? fill : unknown;
	}
	bool seen(Member member) const noexcept { return (seen_ >> member & 1u) != 0; }
	// Everything nested belongs to an unknown member.
	bool is_wanted() const noexcept { return member_ != unknown; }

	static bool fail(Error &error)
	{
		error = json::error::syntax;
		return false;
	}
	// Kinds of values that no known member has. They belong to unknown members.
	bool other_type(Error &error) const { return (depth_ > 0 && !is_wanted()) || fail(error); }

	bool keep(std::string_view text)
	{
		switch (member_) {
		case access_token:
			entry_.access_token = common::Secret(text);
			return !text.empty();
		case refresh_token:
			entry_.refresh_token.emplace(text);
			return true;
		case expires_at:
			entry_.expires_at = common::parse_time(text);
			return entry_.expires_at.has_value();
		case scope:
			entry_.scope.emplace(text);
			return true;
		case fill:
			entry_.fill = text;
			return true;
		default:
			return text == key_name_;
		}
	}

	KeyName key_name_;
	Entry entry_;
	common::Secret text_; // of a string that comes in parts
	std::string name_;    // the same for a member's name
	unsigned seen_ = 0;
	int depth_ = 0;
	Member member_ = unknown;
};

} // namespace

common::Secret write_entry_json(const Entry &entry, KeyName key_name)
{
	common::Secret out(R"({"access_token":)");
	append_text(out, entry.access_token.reveal());
	const auto add = [&](std::string_view name, std::optional<std::string_view> text) {
		out.append(name);
		if (text)
			append_text(out, *text);
		else
			out.append("null");
	};
	using Text = std::optional<std::string_view>;
	add(R"(,"refresh_token":)",
		entry.refresh_token ? Text(entry.refresh_token->reveal()) : std::nullopt);
	const std::string time =
		entry.expires_at ? common::format_time(*entry.expires_at) : std::string();
	add(R"(,"expires_at":)", entry.expires_at ? Text(time) : std::nullopt);
	add(R"(,"scope":)", entry.scope ? Text(*entry.scope) : std::nullopt);
	if (key_name)
		add(R"(,"key":)", key_name);
	if (key_name && !entry.fill.empty())
		add(R"(,"fill":)", Text(entry.fill));
	out.append("}");
	return out;
}

std::optional<Entry> read_entry_json(std::string_view text, KeyName key_name)
{
	std::optional<Entry> entry(std::in_place);
	if (!OwnForm(text).read(key_name, *entry))
		entry = parse_entry_json(text, key_name);
	return entry;
}

std::optional<Entry> parse_entry_json(std::string_view text, KeyName key_name)
{
	json::parse_options options;
	options.max_depth = kMaxDepth;
	json::basic_parser<Handler> parser(options, key_name);
	json::error_code error;
	const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
	if (error || read != text.size() || !parser.handler().is_complete())
		return std::nullopt;
	return parser.handler().take();
}

} // namespace sidecar::cache_entry
