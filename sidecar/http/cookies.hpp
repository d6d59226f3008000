// The cookies that tie an attempt to a browser (docs/design/flow.md, "Cookies").
//
// Each attempt has one of its own, named after its state, so that tabs do not
// disturb each other: `__Host-oauth-<8 hex>` with the value
// `<milliseconds since 1970 UTC>.<browser secret>`. Where the public URL is
// http (development on loopback), a plain `oauth-<8 hex>` goes beside it, for
// browsers that take no Secure cookie there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::http
{

inline constexpr std::size_t kMaxFlowCookies = 8;
inline constexpr int kMaxCookieSeconds = 600;
inline constexpr std::size_t kSecretChars = 43; // base64url of 32 bytes

class FlowCookies
{
public:
	// Reads those of our cookies that are well-formed; the rest is ignored. Of
	// one name that comes more than once with different values, none counts.
	static FlowCookies parse(std::string_view cookie_header, bool plain_too);

	// The browser secret of the attempt with this state, if its cookie is among
	// the newest eight.
	std::optional<Secret> secret_of(std::string_view state) const;

	// Set-Cookie values that clear the attempt's cookie, if it came, and all that
	// are not among the newest eight: none of these moves up when one goes.
	std::vector<std::string> clear(std::string_view state) const;

	// Set-Cookie values for a new attempt: clears all but the newest seven beside it.
	// `lifetime` in seconds, at most kMaxCookieSeconds; `now` in milliseconds.
	std::vector<std::string> set(std::string_view state, const Secret &browser_secret, int lifetime,
								 long long now) const;

private:
	struct Cookie {
		std::string tag; // the eight hexadecimal digits
		long long made;  // milliseconds since 1970 UTC
		Secret secret;   // empty: two of one name disagree
		bool secure_name;
	};
	static std::optional<Cookie> read(std::string_view text, bool plain_too);
	void add(Cookie cookie);
	void append_clearing(std::vector<std::string> &out, std::string_view tag) const;

	std::vector<Cookie> cookies_; // one an attempt, newest first
	bool plain_too_ = false;
};

// First eight hexadecimal digits of the SHA-256 of the state.
std::string cookie_tag(std::string_view state);

} // namespace sidecar::http
