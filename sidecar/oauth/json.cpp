#include "oauth/json.hpp"

#include "common/utf8.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serializer.hpp>
#include <boost/json/value_stack.hpp>
#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

namespace sidecar::oauth
{

namespace
{

namespace json = boost::json;

class WipedMemory final : public json::memory_resource
{
	// No type of Boost.JSON needs a greater alignment than new provides. (And it frees strings
	// with another alignment than it allocated them with.)
	void *do_allocate(std::size_t size, std::size_t) override { return ::operator new(size); }
	void do_deallocate(void *memory, std::size_t size, std::size_t) override
	{
		OPENSSL_cleanse(memory, size);
		::operator delete(memory);
	}
	bool do_is_equal(const json::memory_resource &other) const noexcept override
	{
		return this == &other;
	}
};

// Passes what json::basic_parser finds to a stack that makes a value of it.
struct Builder {
	static constexpr std::size_t max_object_size = std::numeric_limits<std::uint32_t>::max();
	static constexpr std::size_t max_array_size = max_object_size;
	static constexpr std::size_t max_key_size = json::string::max_size();
	static constexpr std::size_t max_string_size = json::string::max_size();

	explicit Builder(const json::storage_ptr &memory) : stack(memory) { stack.reset(memory); }

	using Error = json::error_code;
	using Text = json::string_view;

	bool on_document_begin(Error &) { return true; }
	bool on_document_end(Error &) { return true; }
	bool on_array_begin(Error &) { return true; }
	bool on_array_end(std::size_t size, Error &) { return stack.push_array(size), true; }
	bool on_object_begin(Error &)
	{
		names.emplace_back();
		return true;
	}
	bool on_object_end(std::size_t size, Error &)
	{
		names.pop_back();
		stack.push_object(size);
		return true;
	}
	bool on_key_part(Text part, std::size_t, Error &)
	{
		name.append(part);
		stack.push_chars(part);
		return true;
	}
	bool on_key(Text part, std::size_t, Error &)
	{
		name.append(part);
		if (!names.back().insert(name).second)
			doubled.insert(name);
		name.clear();
		stack.push_key(part);
		return true;
	}
	bool on_string_part(Text part, std::size_t, Error &) { return stack.push_chars(part), true; }
	bool on_string(Text part, std::size_t, Error &) { return stack.push_string(part), true; }
	bool on_number_part(Text, Error &) { return true; }
	bool on_int64(std::int64_t number, Text, Error &) { return stack.push_int64(number), true; }
	bool on_uint64(std::uint64_t number, Text, Error &) { return stack.push_uint64(number), true; }
	bool on_double(double number, Text, Error &) { return stack.push_double(number), true; }
	bool on_bool(bool truth, Error &) { return stack.push_bool(truth), true; }
	bool on_null(Error &) { return stack.push_null(), true; }
	bool on_comment_part(Text, Error &) { return true; }
	bool on_comment(Text, Error &) { return true; }

	json::value_stack stack;
	std::string name;                         // the part that was read so far
	std::vector<std::set<std::string>> names; // of each object that is open
	std::set<std::string> doubled;
};

// The length of the character at the start of `text`; 0: there is none.
std::size_t character_at(std::string_view text) noexcept
{
	const common::Character character = common::first_character(text);
	return character.is_valid ? character.length : 0;
}

// The number in "\\uXXXX" at the start of the text. Nothing: it is something else.
std::optional<unsigned> escape_at(std::string_view text) noexcept
{
	unsigned number = 0;
	if (text.size() < 6 || !text.starts_with("\\u"))
		return std::nullopt;
	const auto read = std::from_chars(text.data() + 2, text.data() + 6, number, 16);
	return read.ptr == text.data() + 6 ? std::optional(number) : std::nullopt;
}

bool is_half(std::optional<unsigned> escape, unsigned first) noexcept
{
	return escape && (*escape & 0xfc00) == first;
}

// How much of the text is valid in JSON, up to the first byte that is no character. At least
// 1 if the text begins with a character.
std::size_t whole_part(std::string_view text) noexcept
{
	std::size_t at = 0;
	while (at < text.size()) {
		const std::string_view rest = text.substr(at);
		const auto escape = escape_at(rest);
		const bool is_pair = is_half(escape, 0xd800) && is_half(escape_at(rest.substr(6)), 0xdc00);
		if (!is_pair && (is_half(escape, 0xd800) || is_half(escape, 0xdc00)))
			break;
		// A backslash takes the next character with it: "\\\\ud800" is no escape.
		const std::size_t length = is_pair ? 12 : escape ? 6 : character_at(rest);
		if (length == 0)
			break;
		const bool is_escape = !escape && rest[0] == '\\' && rest.size() > 1;
		const std::size_t more = is_escape ? character_at(rest.substr(1)) : 0;
		at += length + more;
	}
	return std::min(at, text.size());
}

// The text with U+FFFD for everything that is no character.
common::Secret with_replacements(std::string_view text)
{
	common::Secret out;
	while (!text.empty()) {
		const std::size_t whole = whole_part(text);
		out.append(text.substr(0, whole));
		text.remove_prefix(whole);
		if (text.empty())
			break;
		out.append("\xef\xbf\xbd");
		text.remove_prefix(escape_at(text) ? 6 : 1);
	}
	return out;
}

std::optional<LooseJson> parse(std::string_view text, int max_depth)
{
	json::parse_options options;
	options.max_depth = static_cast<std::size_t>(max_depth);
	json::basic_parser<Builder> parser(options, wiped_memory());
	json::error_code error;
	const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
	if (error || read != text.size())
		return std::nullopt;
	Builder &builder = parser.handler();
	return LooseJson{builder.stack.release(), std::move(builder.doubled)};
}

const json::value *element_at(const json::array &array, std::string_view index) noexcept
{
	std::size_t number = 0;
	const char *end = index.data() + index.size();
	const auto read = std::from_chars(index.data(), end, number);
	return read.ec == std::errc() && read.ptr == end ? array.if_contains(number) : nullptr;
}

} // namespace

json::storage_ptr wiped_memory()
{
	// It has no state, so all share it, and it is never destroyed.
	static WipedMemory *const memory = new WipedMemory;
	return memory;
}

std::string_view without_bom(std::string_view text) noexcept
{
	constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
	return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

std::optional<json::value> parse_json(std::string_view text, int max_depth)
{
	std::optional<LooseJson> parsed = parse(text, max_depth);
	if (!parsed || !parsed->doubled.empty())
		return std::nullopt;
	return std::move(parsed->value);
}

std::optional<LooseJson> parse_loose_json(std::string_view text, int max_depth)
{
	if (whole_part(text) == text.size())
		return parse(text, max_depth);
	const common::Secret whole = with_replacements(text);
	return parse(whole.reveal(), max_depth);
}

common::Secret serialize_secret(const json::value &value)
{
	json::serializer serializer;
	serializer.reset(&value);
	common::Secret text;
	char part[1024];
	while (!serializer.done())
		text.append(serializer.read(part));
	OPENSSL_cleanse(part, sizeof part);
	return text;
}

const json::value *find_path(const json::value &value, std::string_view path)
{
	const json::value *found = &value;
	while (found != nullptr && !path.empty()) {
		const std::string_view key = path.substr(0, path.find('.'));
		path.remove_prefix(std::min(path.size(), key.size() + 1));
		if (const json::object *object = found->if_object())
			found = object->if_contains(key);
		else if (const json::array *array = found->if_array())
			found = element_at(*array, key);
		else
			found = nullptr;
	}
	return found;
}

std::optional<std::string_view> find_string(const json::value &value, std::string_view path)
{
	const json::value *found = find_path(value, path);
	const json::string *text = found ? found->if_string() : nullptr;
	if (text == nullptr || text->empty())
		return std::nullopt;
	return std::string_view(*text);
}

} // namespace sidecar::oauth
