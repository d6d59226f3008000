#include "settings/cache.hpp"

#include <utility>

#include "settings/connection_url.hpp"
#include "settings/text.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kTemplate = "OAUTH_CACHE_KEY_TEMPLATE";
constexpr std::size_t kFernetKeyChars = 44;
constexpr long long kLongestEntrySeconds = 24 * 3600;

void check_template(const Cache &cache, Findings &findings)
{
	if (cache.key_template.empty())
		return;
	for (const char *part : {"{provider}", "{workspace_id}", "{actor_id}"})
		if (cache.key_template.find(part) == std::string::npos)
			findings.fault(kTemplate, "it must contain " + std::string(part) +
										  ", or two identities would share an entry");
	if (!cache.key.empty())
		findings.fault(kTemplate, "with OAUTH_CACHE_KEY other services cannot read the entries; "
								  "keep one of the two");
}

void check_key(const Secret &key, Findings &findings)
{
	bool fits = key.size() == kFernetKeyChars;
	for (const char c : key.reveal())
		fits = fits && (is_alphanumeric(c) || c == '-' || c == '_' || c == '=');
	if (!fits)
		findings.fault("OAUTH_CACHE_KEY", "it must be a Fernet key: 32 bytes as 44 characters of "
										  "URL-safe base64");
}

} // namespace

void read_cache(Inputs &inputs, Settings &settings)
{
	Findings &findings = inputs.findings();
	Cache &cache = settings.cache;
	if (auto url = inputs.secret("REDIS_URL")) {
		check_redis_url(*url, findings);
		settings.redis_url = std::move(*url);
		findings.warn("REDIS_URL", "the cache is not in this version; tokens come from the "
								   "database");
	}
	if (auto key = inputs.secret("OAUTH_CACHE_KEY")) {
		check_key(*key, findings);
		cache.key = std::move(*key);
	}
	cache.key_template = inputs.text(kTemplate).value_or("");
	check_template(cache, findings);
	cache.max_ttl = std::chrono::seconds(
		inputs.number("OAUTH_CACHE_MAX_TTL", 1, kLongestEntrySeconds, cache.max_ttl.count()));
	cache.prefix = inputs.text("OAUTH_CACHE_PREFIX").value_or(cache.prefix);
	cache.refresh_token = inputs.flag("OAUTH_CACHE_REFRESH_TOKEN", cache.refresh_token);
	cache.require_ephemeral = inputs.flag("OAUTH_CACHE_REQUIRE_EPHEMERAL", cache.require_ephemeral);
}

} // namespace sidecar::settings
