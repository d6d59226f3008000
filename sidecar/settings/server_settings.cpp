#include <algorithm>

#include "base/text.hpp"
#include "common/return_address.hpp"
#include "settings/address.hpp"
#include "settings/special_settings.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kPublicUrl = "OAUTH_PUBLIC_URL";

std::string_view public_url_error(std::string_view url)
{
	if (!url.starts_with("https://") && !url.starts_with("http://"))
		return "it must begin with https://";
	if (url.find_first_of("?#") != url.npos)
		return "it must have neither a query nor a fragment";
	if (url.find('@') != url.npos)
		return "it must not have a user name or password";
	if (url.starts_with("http://"))
		return "plain http is for localhost, 127.0.0.1 and [::1] only; begin it with https://";
	return "it must be like https://app.example.com, or with a path as in "
		   "https://example.com/connect";
}

void warn_of_plain_http(const Settings &settings, Diagnostics &diagnostics)
{
	if (!settings.tls_certificate.empty())
		return;
	constexpr std::string_view kAdvice =
		"other machines reach it, over plain HTTP; put a reverse proxy with TLS before it, or set "
		"OAUTH_TLS_CERTIFICATE and OAUTH_TLS_KEY";
	if (!is_local(settings.listen))
		diagnostics.warn("OAUTH_LISTEN", kAdvice);
	if (settings.api_listen && !is_local(*settings.api_listen))
		diagnostics.warn("OAUTH_API_LISTEN", kAdvice);
}

} // namespace

void public_url(Given &given)
{
	std::string_view url = given.text();
	if (url.ends_with('/'))
		url.remove_suffix(1);
	if (common::is_public_url(url) && !url.ends_with('/'))
		given.settings.public_url = url;
	else
		given.error(public_url_error(url));
}

void return_to_origins(Given &given)
{
	std::vector<std::string> &origins = given.settings.return_to_origins;
	int number = 0;
	for (const std::string &origin : split(given.text(), ",")) {
		number++;
		if (!common::is_origin_pattern(origin))
			given.error("entry " + std::to_string(number) +
						" must be an origin in lower case without a path, as in "
						"https://app.example.com or https://*.example.com; http is for "
						"localhost only");
		else if (std::ranges::find(origins, origin) == origins.end())
			origins.push_back(origin);
	}
}

void check_server(Settings &settings, Diagnostics &diagnostics)
{
	if (settings.api_listen == settings.listen)
		settings.api_listen.reset();
	if (settings.tls_certificate.empty() != settings.tls_key.empty())
		diagnostics.error(settings.tls_key.empty() ? "OAUTH_TLS_KEY" : "OAUTH_TLS_CERTIFICATE",
						  "it is missing; TLS needs OAUTH_TLS_CERTIFICATE and OAUTH_TLS_KEY");
	warn_of_plain_http(settings, diagnostics);
	if (!settings.public_url.empty() || diagnostics.has_error(kPublicUrl))
		return;
	if (settings.listen.unix_path.empty())
		settings.public_url = std::string(settings.tls_certificate.empty() ? "http" : "https") +
							  "://localhost:" + std::to_string(settings.listen.port);
	else
		diagnostics.error(kPublicUrl, "it is missing; with a Unix socket there is no port to make "
									  "it from");
}

} // namespace sidecar::settings
