#include "oauth/provider_words.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <optional>
#include <span>

#include "common/ascii.hpp"
#include "oauth/json.hpp"

namespace sidecar::oauth
{

namespace
{

namespace json = boost::json;

constexpr std::size_t kMaxCodeChars = 100;
constexpr std::size_t kMaxCodes = 8; // of one list
constexpr std::size_t kMaxDescriptionChars = 300;
constexpr std::size_t kMaxPageBytes = 64 * 1024;

// Names that providers' answers use, the usual ones first.
constexpr std::string_view kCodeNames[] = {
	"error",  "errorCode", "error_code",    "errcode",       "errorType",   "type",    "code",
	"status", "suberror",  "error_subtype", "error_subcode", "error_codes", "resource"};
constexpr std::string_view kDescriptionNames[] = {"error_description",
												  "errorDescription",
												  "errorSummary",
												  "error_message",
												  "errorMessage",
												  "errmsg",
												  "message",
												  "msg",
												  "detail",
												  "details",
												  "description",
												  "reason",
												  "title",
												  "hint"};
// Objects that may contain these.
constexpr std::string_view kInner[] = {"error", "errors", "meta", "data", "body"};

bool ends_as_secret(std::string_view name)
{
	constexpr std::string_view kEnds[] = {"token",    "secret",    "verifier",
										  "password", "assertion", "credentials"};
	std::string lower(name);
	std::ranges::transform(lower, lower.begin(), common::to_lower);
	return std::ranges::any_of(kEnds, [&](std::string_view end) { return lower.ends_with(end); });
}

void hide_secrets(const json::value &value, Redactor &redactor)
{
	if (const json::object *object = value.if_object()) {
		for (const auto &[name, member] : *object)
			if (const json::string *text = member.if_string(); text && ends_as_secret(name))
				redactor.hide(*text);
			else
				hide_secrets(member, redactor);
	} else if (const json::array *array = value.if_array()) {
		for (const json::value &item : *array)
			hide_secrets(item, redactor);
	}
}

void append(std::string &out, std::string_view text, std::string_view between)
{
	if (!text.empty())
		out.append(out.empty() ? "" : between).append(text);
}

// A text, a number, or the first of a list of these. 0, true and false say nothing.
std::string scalar(const json::value &value)
{
	if (const json::string *text = value.if_string())
		return std::string(*text);
	if (value.is_number() && value != json::value(0))
		return json::serialize(value);
	if (const json::array *array = value.if_array(); array && !array->empty())
		return array->front().is_array() ? std::string() : scalar(array->front());
	return {};
}

std::string first_of(const json::object &object, std::span<const std::string_view> names)
{
	for (const std::string_view name : names)
		if (const json::value *found = object.if_contains(name))
			if (std::string text = scalar(*found); !text.empty())
				return text;
	return {};
}

// Facebook's are a type and a number, Entra's a text, another one and a list of numbers.
void read_codes(const json::object &object, RawWords &words)
{
	for (const std::string_view name : kCodeNames) {
		const json::value *found = object.if_contains(name);
		if (found == nullptr)
			continue;
		std::vector<const json::value *> values = {found};
		if (const json::array *array = found->if_array()) {
			values.clear();
			for (const json::value &value : *array)
				if (!value.is_array() && values.size() < kMaxCodes)
					values.push_back(&value);
		}
		for (const json::value *value : values)
			if (std::string code = scalar(*value); !code.empty())
				words.codes.push_back({name, std::move(code)});
	}
}

void read_object(const json::object &object, RawWords &words, int depth)
{
	read_codes(object, words);
	append(words.description, first_of(object, kDescriptionNames), "; ");
	if (depth == 0)
		return;
	for (const std::string_view name : kInner) {
		const json::value *inner = object.if_contains(name);
		if (inner != nullptr && inner->is_array() && !inner->get_array().empty())
			inner = &inner->get_array().front();
		if (inner != nullptr && inner->is_object())
			read_object(inner->get_object(), words, depth - 1);
	}
}

bool read_json(std::string_view body, RawWords &words, Redactor *redactor)
{
	const auto parsed = parse_loose_json(without_bom(body));
	const json::value *root = parsed ? &parsed->value : nullptr;
	if (root != nullptr && root->is_array() && !root->get_array().empty())
		root = &root->get_array().front();
	if (root == nullptr || !root->is_object())
		return false;
	if (redactor != nullptr)
		hide_secrets(*root, *redactor);
	read_object(root->get_object(), words, 2);
	return true;
}

bool read_form(std::string_view body, RawWords &words, Redactor *redactor)
{
	const http::Parameters::Wanted wanted{{},
										  {"error", "error_description", "error_message",
										   "access_token", "refresh_token", "id_token"}};
	const http::Parameters form = http::Parameters::parse_only(common::trim(body), wanted);
	for (const auto &[name, value] : form.all())
		if (redactor != nullptr && ends_as_secret(name))
			redactor->hide(value);
	if (const auto error = form.get("error"); error && !error->empty())
		words.codes.push_back({"error", std::string(*error)});
	words.description =
		form.get("error_description").value_or(form.get("error_message").value_or(""));
	return !words.codes.empty() || !words.description.empty();
}

// A page's text: everything between tags, without scripts and styles. If `is_whole` is false,
// only its title.
std::string text_of_page(std::string_view page, bool is_whole)
{
	std::string lower(page);
	std::ranges::transform(lower, lower.begin(), common::to_lower);
	std::string out;
	const auto skip_to = [&](std::size_t at, std::string_view what) {
		const std::size_t found = lower.find(what, at);
		return found == lower.npos ? page.size() : found + what.size();
	};
	if (!is_whole) {
		const std::size_t start = skip_to(skip_to(0, "<title"), ">");
		const std::size_t end =
			std::min(lower.find('<', std::min(start, lower.size())), page.size());
		return std::string(page.substr(std::min(start, end), end - std::min(start, end)));
	}
	for (std::size_t at = 0; at < page.size();) {
		const std::string_view rest = std::string_view(lower).substr(at);
		if (rest.starts_with("<script"))
			at = skip_to(at, "</script>");
		else if (rest.starts_with("<style"))
			at = skip_to(at, "</style>");
		else if (rest.starts_with("<!--"))
			at = skip_to(at, "-->");
		else if (rest.starts_with("<")) {
			// <access_token>…, in XML
			const bool is_secret = ends_as_secret(rest.substr(1, rest.find_first_of(" >/", 1) - 1));
			at = skip_to(at, ">");
			if (is_secret)
				at = std::min(page.find('<', at), page.size());
		} else {
			out += page[at++];
			continue;
		}
		out += ' ';
	}
	return out;
}

void decode_entities(std::string &text)
{
	constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
		{"&nbsp;", " "}, {"&lt;", "<"},   {"&gt;", ">"},   {"&quot;", "\""}, {"&#34;", "\""},
		{"&#39;", "'"},  {"&#x27;", "'"}, {"&apos;", "'"}, {"&#x2F;", "/"},  {"&#x2f;", "/"},
		{"&#47;", "/"},  {"&#x3D;", "="}, {"&#x3d;", "="}, {"&#61;", "="},   {"&#43;", "+"},
		{"&#x2B;", "+"}, {"&#x2b;", "+"}, {"&#38;", "&"},  {"&amp;", "&"}};
	std::string decoded;
	decoded.reserve(text.size());
	for (std::size_t at = 0; at < text.size();) {
		const std::string_view rest = std::string_view(text).substr(at);
		const auto *found = std::ranges::find_if(
			kEntities, [rest](const auto &entity) { return rest.starts_with(entity.first); });
		const bool is_entity = found != std::end(kEntities);
		decoded += is_entity ? found->second : rest.substr(0, 1);
		at += is_entity ? found->first.size() : 1;
	}
	text = std::move(decoded);
}

// An answer that is neither JSON nor a form. If its status says success, only a page's title
// is taken: the rest may be a grant in a form that we do not know.
std::string text_of(const ProviderAnswer &answer)
{
	const std::string_view body = common::trim(answer.body.reveal().substr(0, kMaxPageBytes));
	const bool is_page = answer.content_type == "text/html" ||
						 answer.content_type == "application/xhtml+xml" || body.starts_with("<");
	const bool is_success = answer.status >= 200 && answer.status <= 299;
	if (!is_page)
		return is_success ? std::string() : std::string(body);
	std::string text = text_of_page(body, !is_success);
	decode_entities(text);
	return text;
}

// For an answer of success without words: its type and size. Its contents are not shown.
std::string outside_of(const ProviderAnswer &answer)
{
	if (answer.status < 200 || answer.status > 299 || answer.body.empty())
		return {};
	std::string type = answer.content_type.substr(0, kMaxCodeChars);
	if (!std::ranges::all_of(type, common::is_visible) || type.empty())
		type = "no content type";
	return type + ", " + std::to_string(answer.body.size()) + " bytes";
}

RawWords read_words(const ProviderAnswer &answer, Redactor *redactor)
{
	RawWords words;
	const std::string_view body = answer.body.reveal();
	if (!read_json(body, words, redactor) && !read_form(body, words, redactor))
		words.description = text_of(answer);
	return words;
}

} // namespace

ProviderWords words_of(const http::Parameters &callback, const Redactor &redactor)
{
	std::string code(callback.get("error").value_or(""));
	append(code, callback.get("error_code").value_or(""), "/");
	append(code, callback.get("error_subcode").value_or(""), "/");
	std::string description(callback.get("error_description").value_or(""));
	append(description, callback.get("error_message").value_or(""), "; ");
	append(description, callback.get("error_reason").value_or(""), "; ");
	return {redactor.clean(code, kMaxCodeChars), redactor.clean(description, kMaxDescriptionChars),
			0};
}

ProviderWords words_of(const ProviderAnswer &answer, Redactor &redactor)
{
	if (answer.failure != ProviderAnswer::Failure::none)
		return {{}, redactor.clean(answer.detail, kMaxDescriptionChars), answer.status};
	const RawWords words = read_words(answer, &redactor);
	std::string codes;
	for (const RawWords::Code &code : words.codes)
		append(codes, code.value, "/");
	ProviderWords cleaned{redactor.clean(codes, kMaxCodeChars),
						  redactor.clean(words.description, kMaxDescriptionChars), answer.status};
	common::wipe(codes);
	if (cleaned.description.empty() && cleaned.code.empty())
		cleaned.description = answer.detail.empty()
								  ? outside_of(answer)
								  : redactor.clean(answer.detail, kMaxDescriptionChars);
	return cleaned;
}

RawWords raw_words_of(const ProviderAnswer &answer)
{
	return answer.failure == ProviderAnswer::Failure::none ? read_words(answer, nullptr)
														   : RawWords();
}

RawWords::~RawWords()
{
	for (Code &code : codes)
		common::wipe(code.value);
	common::wipe(description);
}

} // namespace sidecar::oauth
