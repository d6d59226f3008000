#include "endpoints/api_request.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <openssl/crypto.h>

#include "common/ascii.hpp"
#include "common/provider_name.hpp"
#include "common/uuid.hpp"
#include "endpoints/errors.hpp"

namespace sidecar::endpoints
{

namespace
{

constexpr std::size_t kMaxActorIdBytes = 1024; // extension/tokens/identity.hpp
constexpr std::size_t kMaxActorTypeBytes = 63; // of an enum's label
constexpr long long kMaxSeconds = 10LL * 366 * 24 * 3600;

std::string lower(std::string_view text)
{
	std::string lowered(text);
	for (char &c : lowered)
		c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
	return lowered;
}

// Compares with every token, even after one fits, and compares digests in constant time.
const settings::ApiToken *known_token(const std::vector<settings::ApiToken> &tokens,
									  std::string_view authorization)
{
	constexpr std::string_view scheme = "bearer ";
	if (authorization.size() <= scheme.size() ||
		lower(authorization.substr(0, scheme.size())) != scheme)
		return nullptr;
	const oauth::Digest digest = oauth::sha256(authorization.substr(scheme.size()));
	const settings::ApiToken *found = nullptr;
	for (const settings::ApiToken &token : tokens)
		if (CRYPTO_memcmp(token.digest.data(), digest.data(), digest.size()) == 0)
			found = &token;
	return found;
}

bool contains(const std::vector<std::string> &range, std::string_view name)
{
	return std::find(range.begin(), range.end(), name) != range.end();
}

bool may(const settings::ApiToken &token, settings::ApiToken::Call call,
		 const oauth::Identity &identity)
{
	return (token.allow & call) != 0 &&
		   (token.workspaces.empty() || contains(token.workspaces, identity.workspace_id)) &&
		   (token.providers.empty() || contains(token.providers, identity.provider) ||
			contains(token.providers, flow::provider_base(identity.provider)));
}

// The first parameter that is missing or malformed, or nothing.
std::optional<std::string_view> read_identity(const http::Parameters &parameters,
											  oauth::Identity &identity)
{
	const auto workspace = parameters.get("workspace_id");
	if (!workspace || !http::is_uuid(*workspace))
		return "workspace_id";
	identity.workspace_id = lower(*workspace);
	identity.actor_type = parameters.get("actor_type").value_or("user");
	if (identity.actor_type.empty() || identity.actor_type.size() > kMaxActorTypeBytes)
		return "actor_type";
	identity.actor_id = parameters.get("actor_id").value_or("");
	if (identity.actor_id.empty() || identity.actor_id.size() > kMaxActorIdBytes)
		return "actor_id";
	return std::nullopt;
}

constexpr std::string_view kIdentity[] = {"workspace_id", "actor_type", "actor_id"};
constexpr std::size_t kMaxNameBytes = 64;

bool is_among(std::string_view name, std::initializer_list<std::string_view> own)
{
	return std::ranges::find(kIdentity, name) != std::end(kIdentity) ||
		   std::ranges::find(own, name) != own.end();
}

// The parameter's name, if it may be a misspelt one. No other input is ever returned.
std::string_view shown(std::string_view name)
{
	const auto is_plain = [](char c) {
		return http::is_letter(c) || http::is_digit(c) || c == '_' || c == '-';
	};
	return name.size() <= kMaxNameBytes && std::ranges::all_of(name, is_plain) ? name : "";
}

std::optional<http::Response> refuse_unknown(const http::Parameters &parameters,
											 std::initializer_list<std::string_view> own,
											 std::string_view request_id)
{
	for (const auto &[name, value] : parameters.all())
		if (!is_among(name, own))
			return error_response(Error::invalid_request, request_id, shown(name));
	return std::nullopt;
}

} // namespace

std::variant<ApiRequest, http::Response>
read_api_request(const Context &context, const http::Request &request,
				 std::string_view provider_name, settings::ApiToken::Call call,
				 std::initializer_list<std::string_view> own)
{
	const settings::ApiToken *token =
		request.has_doubled_header
			? nullptr
			: known_token(context.settings.api_tokens, request.authorization);
	if (token == nullptr)
		return error_response(Error::unauthorized, request.id);

	http::Parameters parameters = http::Parameters::parse(request.query);
	if (parameters.fault() != http::Parameters::Fault::none)
		return error_response(
			Error::invalid_request, request.id,
			parameters
				.faulty({"workspace_id", "actor_type", "actor_id", "scopes", "return_to", "min_ttl",
						 "confirm", "force", "if_token_sha256", "revoke"})
				.value_or(""));
	if (auto refusal = refuse_unknown(parameters, own, request.id))
		return std::move(*refusal);
	oauth::Identity identity;
	identity.provider = provider_name;
	if (const auto fault = read_identity(parameters, identity))
		return error_response(Error::invalid_request, request.id, *fault);

	const oauth::Provider *provider = context.registry.find(provider_name);
	if (provider == nullptr)
		return error_response(Error::unknown_provider, request.id);
	if (!may(*token, call, identity))
		return error_response(Error::forbidden, request.id);
	return ApiRequest{*provider, std::move(identity), std::move(parameters)};
}

std::variant<long long, http::Response> read_seconds(const http::Parameters &parameters,
													 std::string_view name, long long otherwise,
													 std::string_view request_id)
{
	const auto text = parameters.get(name);
	if (!text)
		return otherwise;
	long long seconds = -1;
	const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
	if (error != std::errc() || end != text->data() + text->size() || seconds < 0 ||
		seconds > kMaxSeconds)
		return error_response(Error::invalid_request, request_id, name);
	return seconds;
}

std::variant<bool, http::Response> read_flag(const http::Parameters &parameters,
											 std::string_view name, std::string_view request_id)
{
	const auto text = parameters.get(name);
	if (!text || text == "false")
		return false;
	if (text == "true")
		return true;
	return error_response(Error::invalid_request, request_id, name);
}

std::variant<std::optional<oauth::Digest>, http::Response>
read_digest(const http::Parameters &parameters, std::string_view name, std::string_view request_id)
{
	const auto text = parameters.get(name);
	if (!text)
		return std::nullopt;
	oauth::Digest digest{};
	const auto refusal = [&] { return error_response(Error::invalid_request, request_id, name); };
	if (text->size() != 2 * digest.size() ||
		!std::ranges::all_of(*text, [](unsigned char c) { return std::isxdigit(c) != 0; }))
		return refusal();
	for (std::size_t i = 0; i < digest.size(); i++)
		std::from_chars(text->data() + 2 * i, text->data() + 2 * i + 2, digest[i], 16);
	return digest;
}

} // namespace sidecar::endpoints
