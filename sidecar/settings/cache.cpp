#include "settings/cache.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "cache_entry/key_template.hpp"
#include "common/fernet_key.hpp"
#include "settings/connection_url.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kTemplate = "OAUTH_CACHE_KEY_TEMPLATE";
constexpr std::string_view kPrefix = "OAUTH_CACHE_PREFIX";
constexpr std::size_t kMaxPrefixChars = 128;
constexpr long long kLongestEntrySeconds = 24 * 3600;

// Nothing in it that Redis would take for a pattern.
bool is_prefix(std::string_view text) noexcept
{
	return !text.empty() && text.size() <= kMaxPrefixChars && std::ranges::all_of(text, [](char c) {
		return is_alphanumeric(c) || c == ':' || c == '_' || c == '.' || c == '-';
	});
}

void check_keys(const Cache &cache, Diagnostics &diagnostics)
{
	if (!is_prefix(cache.prefix))
		diagnostics.error(kPrefix, "it must be of 1 to 128 letters, digits and : _ . -");
	else if (const auto wrong = cache::KeyTemplate::error(cache.key_template, cache.prefix))
		diagnostics.error(cache.key_template.empty() ? kPrefix : kTemplate, *wrong);
	if (!cache.key_template.empty() && !cache.key.empty())
		diagnostics.error(kTemplate, "with OAUTH_CACHE_KEY other services cannot read the entries; "
									 "keep one of the two");
}

void check_key(const Secret &key, Diagnostics &diagnostics)
{
	if (!fernet::Key::parse(key.reveal()))
		diagnostics.error("OAUTH_CACHE_KEY",
						  "it must be a Fernet key: 32 bytes as 44 characters of "
						  "URL-safe base64");
}

} // namespace

void read_cache(SettingReader &reader, Settings &settings)
{
	Diagnostics &diagnostics = reader.diagnostics();
	Cache &cache = settings.cache;
	if (auto url = reader.secret("REDIS_URL")) {
		check_redis_url(*url, diagnostics);
		settings.redis_url = std::move(*url);
	}
	if (auto key = reader.secret("OAUTH_CACHE_KEY")) {
		check_key(*key, diagnostics);
		cache.key = std::move(*key);
	}
	cache.key_template = reader.text(kTemplate).value_or("");
	cache.max_ttl = std::chrono::seconds(
		reader.number("OAUTH_CACHE_MAX_TTL", 1, kLongestEntrySeconds, cache.max_ttl.count()));
	cache.prefix = reader.text(kPrefix).value_or(cache.prefix);
	check_keys(cache, diagnostics);
	cache.refresh_token = reader.flag("OAUTH_CACHE_REFRESH_TOKEN", cache.refresh_token);
	if (!cache.key_template.empty() && !cache.refresh_token)
		diagnostics.warn(kTemplate,
						 "a service that takes an entry for the whole grant, as the Python "
						 "service does, finds no refresh token in it and stores the grant "
						 "without one; set OAUTH_CACHE_REFRESH_TOKEN=on for such a service");
	cache.require_ephemeral = reader.flag("OAUTH_CACHE_REQUIRE_EPHEMERAL", cache.require_ephemeral);
}

} // namespace sidecar::settings
