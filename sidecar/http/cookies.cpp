#include "http/cookies.hpp"

#include "common/ascii.hpp"
#include "common/digest.hpp"

#include <algorithm>
#include <charconv>

namespace sidecar::http
{

namespace
{

constexpr std::string_view kSecureName = "__Host-oauth-";
constexpr std::string_view kPlainName = "oauth-";
constexpr std::size_t kTagChars = 8;
constexpr std::size_t kMaxTimeChars = 15; // milliseconds until the year 33658

bool is_tag(std::string_view text) noexcept
{
	return text.size() == kTagChars && std::ranges::all_of(text, common::is_lower_hex);
}

std::optional<long long> read_time(std::string_view text) noexcept
{
	long long time = 0;
	if (text.empty() || text.size() > kMaxTimeChars || !std::ranges::all_of(text, common::is_digit))
		return std::nullopt;
	std::from_chars(text.data(), text.data() + text.size(), time);
	return time;
}

std::string set_cookie(bool secure_name, std::string_view tag, std::string_view value, int max_age)
{
	std::string out(secure_name ? kSecureName : kPlainName);
	out.reserve(200); // so that it does not grow and leave copies of the secret
	out.append(tag).append("=").append(value);
	out.append("; Path=/; Max-Age=").append(std::to_string(max_age)).append("; HttpOnly");
	if (secure_name)
		out.append("; Secure");
	return out.append("; SameSite=Lax");
}

} // namespace

std::string cookie_tag(std::string_view state)
{
	const common::Digest digest = common::sha256(state);
	return common::hex({reinterpret_cast<const char *>(digest.data()), kTagChars / 2});
}

std::optional<FlowCookies::Cookie> FlowCookies::read(std::string_view text, bool plain_too)
{
	const bool secure_name = text.starts_with(kSecureName);
	if (!secure_name && !(plain_too && text.starts_with(kPlainName)))
		return std::nullopt;
	text.remove_prefix(secure_name ? kSecureName.size() : kPlainName.size());
	const std::size_t equals = text.find('=');
	const std::size_t dot = text.find('.');
	if (equals == text.npos || dot == text.npos || dot < equals || !is_tag(text.substr(0, equals)))
		return std::nullopt;
	const auto made = read_time(text.substr(equals + 1, dot - equals - 1));
	const std::string_view secret = text.substr(dot + 1);
	if (!made || !common::is_random_text(secret))
		return std::nullopt;
	return Cookie{std::string(text.substr(0, equals)), *made, common::Secret(secret), secure_name};
}

// No other host or path can have set a `__Host-` cookie, so it wins over the plain one.
void FlowCookies::add(Cookie cookie)
{
	const auto known = std::ranges::find(cookies_, cookie.tag, &Cookie::tag);
	if (known == cookies_.end()) {
		cookies_.push_back(std::move(cookie));
	} else if (known->secure_name != cookie.secure_name) {
		if (cookie.secure_name)
			*known = std::move(cookie);
	} else if (known->made != cookie.made || !known->secret.equals(cookie.secret.reveal())) {
		known->secret.wipe();
		known->made = -1;
	}
}

FlowCookies FlowCookies::parse(std::string_view cookie_header, bool plain_too)
{
	FlowCookies parsed;
	parsed.plain_too_ = plain_too;
	while (!cookie_header.empty()) {
		const std::string_view piece = cookie_header.substr(0, cookie_header.find(';'));
		cookie_header.remove_prefix(std::min(cookie_header.size(), piece.size() + 1));
		if (auto cookie = read(common::trim(piece), plain_too))
			parsed.add(std::move(*cookie));
	}
	std::ranges::sort(parsed.cookies_, [](const Cookie &a, const Cookie &b) {
		return a.made != b.made ? a.made > b.made : a.tag < b.tag;
	});
	return parsed;
}

std::optional<common::Secret> FlowCookies::secret_of(std::string_view state) const
{
	const std::string tag = cookie_tag(state);
	for (std::size_t i = 0; i < std::min(cookies_.size(), kMaxFlowCookies); i++)
		if (cookies_[i].tag == tag && !cookies_[i].secret.empty())
			return cookies_[i].secret.clone();
	return std::nullopt;
}

void FlowCookies::append_clearing(std::vector<std::string> &out, std::string_view tag) const
{
	out.push_back(set_cookie(true, tag, "", 0));
	if (plain_too_)
		out.push_back(set_cookie(false, tag, "", 0));
}

std::vector<std::string> FlowCookies::clear(std::string_view state) const
{
	const std::string tag = cookie_tag(state);
	std::vector<std::string> out;
	for (std::size_t i = 0; i < cookies_.size(); i++)
		if (i >= kMaxFlowCookies || cookies_[i].tag == tag || cookies_[i].secret.empty())
			append_clearing(out, cookies_[i].tag);
	return out;
}

std::vector<std::string> FlowCookies::set(std::string_view state,
										  const common::Secret &browser_secret, int lifetime,
										  long long now) const
{
	const std::string tag = cookie_tag(state);
	std::vector<std::string> out;
	std::size_t kept = 0;
	for (const Cookie &cookie : cookies_)
		if (cookie.tag != tag && (++kept >= kMaxFlowCookies || cookie.secret.empty()))
			append_clearing(out, cookie.tag);

	std::string value = std::to_string(now);
	value.reserve(value.size() + 1 + browser_secret.size());
	value.append(".").append(browser_secret.reveal());
	const int max_age = std::clamp(lifetime, 1, kMaxCookieSeconds);
	out.push_back(set_cookie(true, tag, value, max_age));
	if (plain_too_)
		out.push_back(set_cookie(false, tag, value, max_age));
	common::wipe(value);
	return out;
}

} // namespace sidecar::http
