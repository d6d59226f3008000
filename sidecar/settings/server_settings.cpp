#include "settings/server_settings.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "common/return_address.hpp"
#include "settings/address.hpp"
#include "settings/file.hpp"

namespace sidecar::settings
{

namespace
{

constexpr std::string_view kListen = "OAUTH_LISTEN";
constexpr std::string_view kApiListen = "OAUTH_API_LISTEN";
constexpr std::string_view kPublicUrl = "OAUTH_PUBLIC_URL";
constexpr std::string_view kReturnTo = "OAUTH_RETURN_TO";
constexpr std::string_view kCertificate = "OAUTH_TLS_CERTIFICATE";
constexpr std::string_view kKey = "OAUTH_TLS_KEY";
constexpr std::string_view kAuthorities = "OAUTH_CA_FILE";

std::optional<Address> read_address(SettingReader &reader, std::string_view setting)
{
	const std::optional<std::string> text = reader.text(setting);
	if (!text)
		return std::nullopt;
	auto parsed = parse_address(*text);
	if (auto *address = std::get_if<Address>(&parsed))
		return std::move(*address);
	reader.diagnostics().error(setting, std::get<std::string_view>(parsed));
	return std::nullopt;
}

void read_listeners(SettingReader &reader, Settings &settings)
{
	settings.listen.host = "127.0.0.1";
	settings.listen.port = 8090;
	if (auto address = read_address(reader, kListen))
		settings.listen = std::move(*address);
	settings.api_listen = read_address(reader, kApiListen);
	if (settings.api_listen && same_address(*settings.api_listen, settings.listen))
		settings.api_listen.reset();
}

void read_tls(SettingReader &reader, Settings &settings)
{
	Diagnostics &diagnostics = reader.diagnostics();
	settings.tls_certificate = reader.path(kCertificate, "");
	settings.tls_key = reader.path(kKey, "");
	settings.ca_file = reader.path(kAuthorities, "");
	if (settings.tls_certificate.empty() != settings.tls_key.empty())
		diagnostics.error(settings.tls_key.empty() ? kKey : kCertificate,
						  "it is missing; TLS needs OAUTH_TLS_CERTIFICATE and OAUTH_TLS_KEY");
	if (!settings.tls_certificate.empty())
		check_readable(kCertificate, settings.tls_certificate, false, diagnostics);
	if (!settings.tls_key.empty())
		check_readable(kKey, settings.tls_key, true, diagnostics);
	if (!settings.ca_file.empty())
		check_readable(kAuthorities, settings.ca_file, false, diagnostics);
}

void warn_of_plain_http(const Settings &settings, Diagnostics &diagnostics)
{
	if (!settings.tls_certificate.empty())
		return;
	constexpr std::string_view kAdvice =
		"other machines reach it, over plain HTTP; put a reverse proxy with TLS before it, or set "
		"OAUTH_TLS_CERTIFICATE and OAUTH_TLS_KEY";
	if (!is_local(settings.listen))
		diagnostics.warn(kListen, kAdvice);
	if (settings.api_listen && !is_local(*settings.api_listen))
		diagnostics.warn(kApiListen, kAdvice);
}

std::string public_url_error(std::string_view url)
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

void read_public_url(SettingReader &reader, Settings &settings)
{
	Diagnostics &diagnostics = reader.diagnostics();
	std::optional<std::string> url = reader.text(kPublicUrl);
	if (!url) {
		const bool unix_socket = !settings.listen.unix_path.empty();
		if (unix_socket)
			diagnostics.error(kPublicUrl, "it is missing; with a Unix socket there is no port to "
										  "make it from");
		else
			settings.public_url = std::string(settings.tls_certificate.empty() ? "http" : "https") +
								  "://localhost:" + std::to_string(settings.listen.port);
		return;
	}
	if (url->ends_with('/'))
		url->pop_back();
	if (flow::is_public_url(*url) && !url->ends_with('/'))
		settings.public_url = std::move(*url);
	else
		diagnostics.error(kPublicUrl, public_url_error(*url));
}

void read_origins(SettingReader &reader, Settings &settings)
{
	const auto origins = reader.list(kReturnTo);
	if (!origins)
		return;
	for (std::size_t i = 0; i < origins->size(); i++) {
		const std::string &origin = (*origins)[i];
		if (!flow::is_origin_pattern(origin))
			reader.diagnostics().error(
				kReturnTo, "entry " + std::to_string(i + 1) +
							   " must be an origin in lower case without a path, as in "
							   "https://app.example.com or https://*.example.com; http is for "
							   "localhost only");
		else if (std::ranges::find(settings.return_to_origins, origin) ==
				 settings.return_to_origins.end())
			settings.return_to_origins.push_back(origin);
	}
}

} // namespace

void read_server_settings(SettingReader &reader, Settings &settings)
{
	read_listeners(reader, settings);
	read_tls(reader, settings);
	warn_of_plain_http(settings, reader.diagnostics());
	read_public_url(reader, settings);
	read_origins(reader, settings);
}

} // namespace sidecar::settings
