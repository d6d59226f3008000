// Reads token answers of arbitrary bytes (libFuzzer; F13). The first byte chooses how
// the provider is set up and what kind of answer the rest is. Whatever is taken
// for a grant has printable tokens, a possible life, and details without a token.
#include <algorithm>
#include <cstdlib>

#include "../unit/oauth/samples.hpp"
#include "common/ascii.hpp"
#include "oauth/json.hpp"
#include "oauth/refresh_failure.hpp"
#include "oauth/token_answer.hpp"

using namespace sidecar;
using namespace sidecar::oauth;

namespace
{

void require(bool good)
{
	if (!good)
		std::abort();
}

Provider make_provider(unsigned choice)
{
	Provider provider = samples::provider();
	if (choice & 1)
		provider.access_token_path = "a.t";
	provider.id_token_optional = choice & 2;
	provider.id_token_allow = {(choice & 2) != 0, (choice & 4) != 0, (choice & 8) != 0};
	if (choice & 32)
		provider.refresh_token_path = "a.0.r", provider.expires_path = "a.0.e";
	provider.scope_separator = choice & 2 ? "," : " ";
	provider.extra = {"a", "x", "a.t", "a.x", "access_token"};
	provider.account_id_path = "id";
	provider.account_label_path = "a.label";
	return provider;
}

void check_token(std::string_view token)
{
	require(!token.empty() && token.size() <= kMaxTokenBytes);
	require(std::ranges::all_of(token, common::is_printable));
}

// No string in the details tells a token that is long enough to be one.
void check_details(const boost::json::value &value, std::string_view token)
{
	if (const auto *string = value.if_string())
		require(token.size() < 16 ||
				std::string_view(*string).find(token) == std::string_view::npos);
	if (const auto *array = value.if_array())
		for (const auto &element : *array)
			check_details(element, token);
	if (const auto *object = value.if_object())
		for (const auto &member : *object)
			check_details(member.value(), token);
}

void check_grant(const Grant &grant)
{
	check_token(grant.access_token.reveal());
	if (grant.refresh_token)
		check_token(grant.refresh_token->reveal());
	require(!grant.expires_in || *grant.expires_in > 0);
	require(!grant.refresh_expires_in || *grant.refresh_expires_in > 0);
	require(!grant.scopes || std::ranges::all_of(*grant.scopes, common::is_printable));
	for (const std::string &warning : grant.warnings)
		require(warning.size() < 400 && std::ranges::all_of(warning, common::is_printable));
	const auto details = parse_json(grant.details, 64);
	require(details && details->is_object());
	check_details(*details, grant.access_token.reveal());
	if (grant.refresh_token)
		check_details(*details, grant.refresh_token->reveal());
}

// The same as an answer to a refresh. What is no grant has one meaning, and words that
// fit into the database.
void check_refresh(const Provider &provider, const ProviderAnswer &answer, unsigned choice)
{
	const StoredGrant stored = read_stored_grant(
		"calendar", choice & 2 ? R"({"issuer":"https://op.example","account_id":"alice-at-op"})"
							   : R"({"extra":{"x":"stored"}})");
	const auto read = read_refresh_answer(provider, stored, answer, samples::kNow);
	if (const auto *grant = std::get_if<Grant>(&read)) {
		check_grant(*grant);
		return;
	}
	const RefreshFailure failure = refresh_failure(
		{provider, stored, "1//0gRefreshToken", samples::kNow}, answer, std::get<NoGrant>(read));
	require(!name_of(failure.kind).empty());
	const std::string detail = failure.detail();
	require(!detail.empty() && detail.size() <= kMaxFailureDetailBytes);
	require(std::ranges::none_of(detail, common::is_control));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *bytes, std::size_t size)
{
	if (size == 0)
		return 0;
	const unsigned choice = bytes[0];
	const std::string_view body(reinterpret_cast<const char *>(bytes + 1), size - 1);
	const Provider provider = make_provider(choice);
	const std::vector<std::string> asked = {choice & 4 ? "openid" : "calendar"};
	const Pairs callback_extra = {{"x", "from the browser"}};
	const Expected expected = {provider, samples::kIssuer, "client",     samples::kNonce,
							   asked,    callback_extra,   samples::kNow};

	constexpr std::string_view kTypes[] = {"application/json", "application/x-www-form-urlencoded",
										   "text/plain", ""};
	const int status = choice & 8 ? 400 : 200;
	ProviderAnswer answer = samples::answer(status, body, kTypes[choice >> 4 & 3]);
	// Claims instead of a body, so that what comes after decoding is reached.
	if (choice & 64)
		answer.body =
			common::Secret(R"({"access_token":"a","id_token":")" + samples::id_token(body) + "\"}");
	const auto read = read_token_answer(expected, answer);
	if (const auto *grant = std::get_if<Grant>(&read))
		check_grant(*grant);
	else
		require(std::ranges::all_of(std::get<NoGrant>(read).reason, common::is_printable));
	check_refresh(provider, answer, choice);
	return 0;
}
