#include "endpoints/api_request.hpp"

#include <algorithm>
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
	std::ranges::transform(lowered, lowered.begin(), common::to_lower);
	return lowered;
}

// Compares with every token, even after one fits, and compares digests in constant time.
const settings::ApiToken *known_token(const std::vector<settings::ApiToken> &tokens,
									  std::string_view authorization)
{
	constexpr std::string_view scheme = "bearer ";
	if (authorization.size() <= scheme.size() ||
		!common::equal_ignoring_case(authorization.substr(0, scheme.size()), scheme))
		return nullptr;
	const common::Digest digest = common::sha256(authorization.substr(scheme.size()));
	const settings::ApiToken *found = nullptr;
	for (const settings::ApiToken &token : tokens)
		if (CRYPTO_memcmp(token.digest.data(), digest.data(), digest.size()) == 0)
			found = &token;
	return found;
}

// An empty range holds everything.
bool is_within(const std::vector<std::string> &range, std::string_view name)
{
	return range.empty() || std::ranges::find(range, name) != range.end();
}

bool may(const settings::ApiToken &token, settings::ApiToken::Call call,
		 const oauth::Identity &identity)
{
	return (token.allow & call) != 0 && is_within(token.workspaces, identity.workspace_id) &&
		   (is_within(token.providers, identity.provider) ||
			is_within(token.providers, common::provider_base(identity.provider)));
}

HttpError bad_parameter(std::string_view name)
{
	return {Error::invalid_request, std::string(name)};
}

oauth::Identity read_identity(const http::Parameters &parameters, std::string_view provider_name)
{
	oauth::Identity identity;
	identity.provider = provider_name;
	identity.workspace_id = lower(parameters.get("workspace_id").value_or(""));
	if (!common::is_lower_case_uuid(identity.workspace_id))
		throw bad_parameter("workspace_id");
	identity.actor_type = parameters.get("actor_type").value_or("user");
	if (identity.actor_type.empty() || identity.actor_type.size() > kMaxActorTypeBytes)
		throw bad_parameter("actor_type");
	identity.actor_id = parameters.get("actor_id").value_or("");
	if (identity.actor_id.empty() || identity.actor_id.size() > kMaxActorIdBytes)
		throw bad_parameter("actor_id");
	return identity;
}

constexpr std::string_view kIdentity[] = {"workspace_id", "actor_type", "actor_id"};
constexpr std::size_t kMaxNameBytes = 64;

// The parameter's name, if it may be a misspelt one. No other input is ever returned.
std::string_view shown(std::string_view name)
{
	const auto is_plain = [](char c) {
		return common::is_letter(c) || common::is_digit(c) || c == '_' || c == '-';
	};
	return name.size() <= kMaxNameBytes && std::ranges::all_of(name, is_plain) ? name : "";
}

http::Parameters read_parameters(std::string_view query,
								 std::initializer_list<std::string_view> own)
{
	http::Parameters parameters = http::Parameters::parse(query);
	if (parameters.fault() != http::Parameters::Fault::none)
		throw bad_parameter(shown(parameters.faulty()));
	for (const auto &[name, value] : parameters.all())
		if (std::ranges::find(kIdentity, name) == std::end(kIdentity) &&
			std::ranges::find(own, name) == own.end())
			throw bad_parameter(shown(name));
	return parameters;
}

} // namespace

ApiRequest read_api_request(const ShardContext &context, const http::Request &request,
							std::string_view provider_name, settings::ApiToken::Call call,
							std::initializer_list<std::string_view> own)
{
	const settings::ApiToken *token =
		request.has_doubled_header
			? nullptr
			: known_token(context.settings.api_tokens, request.authorization);
	if (token == nullptr)
		throw HttpError{Error::unauthorized};
	http::Parameters parameters = read_parameters(request.query, own);
	oauth::Identity identity = read_identity(parameters, provider_name);
	const oauth::Provider *provider = providers::find(context.settings.providers, provider_name);
	if (provider == nullptr)
		throw HttpError{Error::unknown_provider};
	if (!may(*token, call, identity))
		throw HttpError{Error::forbidden};
	return {*provider, std::move(identity), std::move(parameters)};
}

long long read_seconds(const http::Parameters &parameters, std::string_view name,
					   long long otherwise)
{
	const auto text = parameters.get(name);
	if (!text)
		return otherwise;
	long long seconds = -1;
	const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
	if (error != std::errc() || end != text->data() + text->size() || seconds < 0 ||
		seconds > kMaxSeconds)
		throw bad_parameter(name);
	return seconds;
}

std::optional<bool> read_flag(const http::Parameters &parameters, std::string_view name)
{
	const auto text = parameters.get(name);
	if (text && text != "true" && text != "false")
		throw bad_parameter(name);
	return text ? std::optional(text == "true") : std::nullopt;
}

std::optional<common::Digest> read_digest(const http::Parameters &parameters, std::string_view name)
{
	const auto text = parameters.get(name);
	if (!text)
		return std::nullopt;
	common::Digest digest{};
	if (text->size() != 2 * digest.size() ||
		!std::ranges::all_of(*text, common::is_lower_hex, common::to_lower))
		throw bad_parameter(name);
	for (std::size_t i = 0; i < digest.size(); i++)
		std::from_chars(text->data() + 2 * i, text->data() + 2 * i + 2, digest[i], 16);
	return digest;
}

} // namespace sidecar::endpoints
