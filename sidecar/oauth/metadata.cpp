#include "oauth/metadata.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/ascii.hpp"
#include "oauth/json.hpp"
#include "oauth/tenant_issuer.hpp"

#include <algorithm>
#include <charconv>

namespace sidecar::oauth
{

namespace
{

namespace json = boost::json;

constexpr std::size_t kMaxEndpointBytes = 2048; // browsers and proxies accept this

bool is_host_character(char c) noexcept
{
	return common::is_letter(c) || common::is_digit(c) || c == '-' || c == '.' || c == '_';
}

bool is_ipv6_character(char c) noexcept
{
	return common::is_lower_hex(common::to_lower(c)) || c == ':' || c == '.';
}

bool is_port(std::string_view text) noexcept
{
	unsigned short port = 0;
	const auto read = std::from_chars(text.data(), text.data() + text.size(), port);
	return read.ec == std::errc() && read.ptr == text.data() + text.size() && text.front() != '0';
}

// 127.0.0.0/8 as four decimal numbers without leading zeros: other spellings mean different
// things to different parsers.
bool is_loopback_ipv4(std::string_view host)
{
	in_addr address{};
	return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 &&
		   ntohl(address.s_addr) >> 24 == 127;
}

bool is_loopback(std::string_view host)
{
	return common::equal_ignoring_case(host, "localhost") || host == "[::1]" ||
		   is_loopback_ipv4(host);
}

bool is_host(std::string_view host) noexcept
{
	if (host.starts_with('['))
		return host.size() > 2 && host.ends_with(']') &&
			   std::ranges::all_of(host.substr(1, host.size() - 2), is_ipv6_character);
	return !host.empty() && std::ranges::all_of(host, is_host_character);
}

bool is_url_character(char c) noexcept
{
	return common::is_visible(c) &&
		   std::string_view("\\\"<>^`{|}#").find(c) == std::string_view::npos;
}

// The address of a URL that is_endpoint(), without brackets.
std::string_view host_of(std::string_view url) noexcept
{
	url.remove_prefix(url.find("://") + 3);
	const std::string_view authority = url.substr(0, url.find_first_of("/?"));
	if (authority.starts_with('['))
		return authority.substr(1, authority.find(']') - 1);
	return authority.substr(0, authority.find(':'));
}

// Every spelling of an address that a resolver accepts: 127.1, 0x7f.1, 2130706433.
bool is_local_ipv4(const std::string &host)
{
	in_addr address{};
	if (inet_aton(host.c_str(), &address) == 0)
		return false;
	const unsigned first = ntohl(address.s_addr) >> 24;
	return first == 127 || first == 0;
}

bool is_local_ipv6(const std::string &host)
{
	in6_addr address{};
	if (inet_pton(AF_INET6, host.c_str(), &address) != 1)
		return false;
	const unsigned char *bytes = address.s6_addr;
	const bool is_mapped = IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_V4COMPAT(&address);
	return IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_UNSPECIFIED(&address) ||
		   (is_mapped && (bytes[12] == 127 || bytes[12] == 0));
}

// Sets what the settings leave open. False if the document names something that we must not
// call: the author of a remote issuer's metadata must not reach services on this host, or
// have the client's secret sent there.
bool take_endpoint(std::string &endpoint, const json::value &document, std::string_view name,
				   bool may_be_local)
{
	if (!endpoint.empty())
		return is_endpoint(endpoint);
	const json::value *found = find_path(document, name);
	if (found == nullptr || found->is_null())
		return true;
	endpoint = found->is_string() ? std::string_view(found->get_string()) : "?";
	return endpoint.empty() || (is_endpoint(endpoint) && (may_be_local || !is_local(endpoint)));
}

// Nothing if the document does not say. It then means client_secret_basic.
std::optional<AuthMethods> read_auth_methods(const json::value &document)
{
	const json::value *methods = find_path(document, "token_endpoint_auth_methods_supported");
	const json::array *list = methods == nullptr ? nullptr : methods->if_array();
	if (list == nullptr)
		return std::nullopt;
	const auto has = [list](std::string_view method) {
		return std::ranges::find(*list, json::value(method)) != list->end();
	};
	return AuthMethods{has("client_secret_basic"), has("client_secret_post"), has("none")};
}

bool offers_s256(const json::value &document)
{
	const json::value *methods = find_path(document, "code_challenge_methods_supported");
	if (methods == nullptr || methods->is_null())
		return true; // it does not say, and that is no reason to refuse
	const json::array *list = methods->if_array();
	return list != nullptr && std::ranges::find(*list, json::value("S256")) != list->end();
}

bool is_issuer(const Provider &provider, const json::value &document)
{
	const auto issuer = find_string(document, "issuer");
	return issuer && (*issuer == provider.endpoints.issuer ||
					  (provider.issuer_per_tenant && *issuer == kTenantIssuerTemplate));
}

} // namespace

std::string metadata_address(std::string_view issuer)
{
	while (issuer.ends_with('/'))
		issuer.remove_suffix(1);
	return std::string(issuer) + "/.well-known/openid-configuration";
}

bool is_endpoint(std::string_view url)
{
	constexpr std::string_view kHttps = "https://", kHttp = "http://";
	const bool https = url.starts_with(kHttps);
	if ((!https && !url.starts_with(kHttp)) || url.size() > kMaxEndpointBytes ||
		!std::ranges::all_of(url, is_url_character))
		return false;
	url.remove_prefix(https ? kHttps.size() : kHttp.size());
	const std::string_view authority = url.substr(0, url.find_first_of("/?"));
	// A colon within brackets belongs to the host; userinfo has no place in one.
	const std::size_t bracket = authority.rfind(']');
	const std::size_t colon = authority.find(':', bracket == authority.npos ? 0 : bracket);
	const std::string_view host = authority.substr(0, colon);
	if (colon != authority.npos && !is_port(authority.substr(colon + 1)))
		return false;
	return is_host(host) && (https || is_loopback(host));
}

bool is_local(std::string_view url)
{
	std::string host(host_of(url));
	std::ranges::transform(host, host.begin(), common::to_lower);
	while (host.ends_with('.'))
		host.pop_back();
	return host == "localhost" || host.ends_with(".localhost") || is_local_ipv4(host) ||
		   is_local_ipv6(host);
}

std::variant<ProviderEndpoints, std::string_view> read_metadata(const Provider &provider,
																const ProviderAnswer &answer)
{
	if (answer.failure != ProviderAnswer::Failure::none || answer.status != 200)
		return "the provider's metadata cannot be read";
	const auto document = parse_json(without_bom(answer.body.reveal()));
	if (!document || !document->is_object())
		return "the provider's metadata is not a JSON object";
	if (!is_issuer(provider, *document))
		return "the provider's metadata names another issuer";
	if (provider.pkce && !offers_s256(*document))
		return "the provider's metadata names PKCE methods, and S256 is not among them";

	ProviderEndpoints endpoints = provider.endpoints;
	const bool may_be_local = is_local(provider.endpoints.issuer);
	if (!take_endpoint(endpoints.authorization, *document, "authorization_endpoint",
					   may_be_local) ||
		!take_endpoint(endpoints.token, *document, "token_endpoint", may_be_local) ||
		!take_endpoint(endpoints.revocation, *document, "revocation_endpoint", may_be_local) ||
		!(endpoints.refresh.empty() || is_endpoint(endpoints.refresh)))
		return "the provider's metadata names an endpoint that is not https, or on this host "
			   "though "
			   "the issuer is not";
	if (endpoints.authorization.empty() || endpoints.token.empty())
		return "the provider's metadata lacks an endpoint";
	const json::value *promised =
		find_path(*document, "authorization_response_iss_parameter_supported");
	endpoints.iss_promised = promised != nullptr && promised->is_bool() && promised->get_bool();
	endpoints.auth_methods = read_auth_methods(*document);
	return endpoints;
}

} // namespace sidecar::oauth
