// The cookies that tie an attempt to a browser (docs/design/flow.md, "Cookies").
//
// Each attempt has a cookie of its own, named after its state, so that tabs do not disturb
// each other: `__Host-oauth-<8 hex>` with the value
// `<milliseconds since 1970 UTC>.<browser secret>`. If the public URL is
// http (development on loopback), a plain `oauth-<8 hex>` is set, too, for browsers that
// accept no Secure cookie there.
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
	// Reads those of our cookies that are well-formed, and ignores the others. If a name comes
	// more than once with different values, none counts.
	static FlowCookies parse(std::string_view cookie_header, bool plain_too);

	// The browser secret of the attempt with this state, if its cookie is among
	// the newest eight.
	std::optional<common::Secret> secret_of(std::string_view state) const;

	// Set-Cookie values that clear the attempt's cookie, if it came, and all that are not among
	// the newest eight, so that none of those becomes valid again.
	std::vector<std::string> clear(std::string_view state) const;

	// Set-Cookie values for a new attempt: sets its cookie, and clears all others except the
	// newest seven.
	// `lifetime` in seconds, at most kMaxCookieSeconds; `now` in milliseconds.
	std::vector<std::string> set(std::string_view state, const common::Secret &browser_secret,
								 int lifetime, long long now) const;

private:
	struct Cookie {
		std::string tag;       // the eight hexadecimal digits
		long long made;        // milliseconds since 1970 UTC
		common::Secret secret; // empty: two cookies of this name differ
		bool secure_name;
	};
	static std::optional<Cookie> read(std::string_view text, bool plain_too);
	void add(Cookie cookie);
	void append_clearing(std::vector<std::string> &out, std::string_view tag) const;

	std::vector<Cookie> cookies_; // one for each attempt, newest first
	bool plain_too_ = false;
};

// First eight hexadecimal digits of the SHA-256 of the state.
std::string cookie_tag(std::string_view state);

} // namespace sidecar::http
