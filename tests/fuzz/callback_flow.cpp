// Runs callbacks of arbitrary bytes (libFuzzer): query, cookies, the attempt that
// the database has, and the token endpoint's answer. Whatever they are:
//
//   a code goes out only to the recorded token endpoint
//   a browser is sent to the public origin or an allowed one, by an address that
//   fits into a header, and only if there was an attempt
//   reasons for the log are texts of ours
//   a grant's tokens are printable, and its details JSON
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstdlib>

#include "../unit/oauth/samples.hpp"
#include "common/ascii.hpp"
#include "oauth/callback_flow.hpp"
#include "oauth/json.hpp"

using namespace sidecar;
using namespace sidecar::oauth;

namespace
{

constexpr std::string_view kStarts[] = {"https://connect.example/", "https://app.example/"};

void require(bool good)
{
	if (!good)
		std::abort();
}

std::string text(FuzzedDataProvider &data)
{
	return data.ConsumeRandomLengthString(4096);
}

// What is mostly right gets further.
std::string text_or(FuzzedDataProvider &data, std::string_view good)
{
	return data.ConsumeBool() ? std::string(good) : text(data);
}

void check_tokens(const Grant &grant)
{
	const auto check = [](std::string_view token) {
		require(!token.empty() && std::ranges::all_of(token, common::is_printable));
	};
	check(grant.access_token.reveal());
	if (grant.refresh_token)
		check(grant.refresh_token->reveal());
	require(!grant.expires_in || *grant.expires_in > 0);
	require(!grant.scopes || std::ranges::all_of(*grant.scopes, common::is_printable));
	const auto details = parse_json(grant.details, 64);
	require(details && details->is_object());
}

void check_end(const End &end, bool had_attempt)
{
	require(had_attempt != end.location.empty());
	require(std::ranges::all_of(end.reason, common::is_printable));
	require(std::ranges::all_of(end.location, common::is_visible));
	require(!had_attempt || std::ranges::any_of(kStarts, [&](std::string_view start) {
		return end.location.starts_with(start);
	}));
}

Provider make_provider(FuzzedDataProvider &data)
{
	Provider provider = samples::provider();
	provider.pkce = data.ConsumeBool();
	provider.discovers = data.ConsumeBool();
	provider.issuer_per_tenant = data.ConsumeBool();
	provider.id_token_optional = data.ConsumeBool();
	provider.body = data.ConsumeBool() ? Body::form : Body::json;
	if (data.ConsumeBool())
		provider.require_iss = data.ConsumeBool();
	if (data.ConsumeBool())
		provider.access_token_path = "a.access_token";
	provider.extra = {"x", "a", "a.x"};
	provider.callback_extra = {"x", "y"};
	return provider;
}

ClaimedAttempt make_attempt(FuzzedDataProvider &data)
{
	ClaimedAttempt attempt = samples::claimed_attempt();
	attempt.issuer = text_or(data, samples::kIssuer);
	attempt.token_endpoint = text_or(data, samples::kTokenEndpoint);
	attempt.link.scopes = data.ConsumeBool() ? "openid" : "";
	if (data.ConsumeBool())
		attempt.link.return_to = text(data);
	return attempt;
}

ProviderAnswer make_answer(FuzzedDataProvider &data)
{
	constexpr std::string_view kTypes[] = {"application/json", "application/x-www-form-urlencoded",
										   "text/plain"};
	const std::string_view type = data.PickValueInArray(kTypes);
	const int status = data.ConsumeBool() ? 200 : data.ConsumeIntegralInRange(0, 700);
	if (data.ConsumeBool())
		return samples::answer(status, text(data), type);
	const std::string id_token = samples::id_token(text_or(data, samples::claims()));
	return samples::answer(
		status, R"({"access_token":"a","id_token":")" + id_token + "\"" + text(data), type);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *bytes, std::size_t size)
{
	FuzzedDataProvider data(bytes, size);
	const std::vector<std::string> origins = {"https://app.example"};
	const Provider provider = make_provider(data);
	std::optional<ProviderEndpoints> endpoints;
	if (data.ConsumeBool()) {
		endpoints = provider.endpoints;
		endpoints->iss_promised = data.ConsumeBool();
	}
	CallbackFlow flow({samples::kPublicUrl, origins, provider, endpoints});

	const std::string cookies = text_or(data, samples::cookie(samples::kState));
	const bool plain_too = data.ConsumeBool();
	std::string query = text(data);
	if (data.ConsumeBool())
		query = "state=" + std::string(samples::kState) + "&" + query;
	bool had_attempt = false;
	try {
		flow.start(query, http::FlowCookies::parse(cookies, plain_too));
		ClaimedAttempt attempt = make_attempt(data);
		const std::string token_endpoint = attempt.token_endpoint;
		had_attempt = true;
		const ProviderRequest request = flow.claimed(std::move(attempt));
		require(request.url == token_endpoint && token_endpoint.starts_with("http"));
		check_tokens(flow.answered(make_answer(data), samples::kNow));
		const auto kind = static_cast<StoreResult::Kind>(data.ConsumeIntegralInRange(0, 3));
		check_end(flow.stored({kind, common::Secret(text(data))}), true);
	} catch (const End &end) {
		check_end(end, had_attempt);
	}
	return 0;
}
