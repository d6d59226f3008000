// oauth_authorize_url: a link that connects an account to an identity. Whatever
// would fail later in the browser fails here.

#include <algorithm>

#include "common/provider_name.hpp"
#include "common/return_address.hpp"
#include "common/scope_list.hpp"
#include "errors.hpp"
#include "flows/flow_settings.hpp"
#include "flows/link.hpp"
#include "keys/key_ring.hpp"
#include "postgres/function.hpp"
#include "postgres/member_query.hpp"
#include "schema/row_permission.hpp"
#include "settings.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// Arguments after the identity.
enum Argument { kScopesArgument = 4, kReturnTo, kConfirm };

void check_provider(std::string_view provider)
{
	if (!common::is_provider_name(provider))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("provider is not a provider's name"),
						errhint("A name is [a-z0-9][a-z0-9_-]*, with an optional .label of the "
								"same form.")));
}

char *list_of(std::span<const std::string_view> names)
{
	StringInfoData list;
	initStringInfo(&list);
	for (const std::string_view name : names)
		appendStringInfo(&list, "%s%.*s", list.len == 0 ? "" : ", ", static_cast<int>(name.size()),
						 name.data());
	return list.data;
}

void check_provider_is_known(std::string_view provider, const FlowSettings &settings)
{
	if (!settings.published ||
		std::ranges::find(settings.providers, common::provider_base(provider)) !=
			settings.providers.end())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROVIDER_UNKNOWN), errmsg("the sidecar has no provider of this name"),
			 settings.providers.empty()
				 ? errhint("It has none at all: configure one and restart it.")
				 : errhint("It has: %s.", list_of(settings.providers))));
}

void check_public_url_is_set(const FlowSettings &settings)
{
	if (settings.public_url.empty())
		ereport(ERROR, (errcode(ERRCODE_NO_PUBLIC_URL),
						errmsg("there is no public URL to make a link from"),
						errhint("Start the sidecar, which publishes its OAUTH_PUBLIC_URL, or set "
								"oauth_tokens.public_url.")));
}

void check_return_to(const text *return_to, const FlowSettings &settings)
{
	if (return_to == nullptr ||
		common::return_to_allowed(view_of(return_to), settings.return_to_origins))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_RETURN_TO_REFUSED), errmsg("return_to is not allowed"),
			 settings.return_to_origins.empty()
				 ? errhint("Pass a path that begins with one slash; the sidecar's OAUTH_RETURN_TO "
						   "allows other origins.")
				 : errhint("Pass a path that begins with one slash, or a URL on one of: %s.",
						   list_of(settings.return_to_origins))));
}

void check_scopes(const text *scopes)
{
	if (scopes == nullptr)
		return;
	if (view_of(scopes).size() > common::kMaxScopesBytes)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("scopes are too long"),
						errdetail("They have %zu bytes; at most %zu are allowed.",
								  view_of(scopes).size(), common::kMaxScopesBytes)));
	if (!common::are_scopes(view_of(scopes)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("scopes are malformed"),
						errhint("Pass names in ASCII, separated by single spaces, or NULL for the "
								"configured ones.")));
}

void check_confirm(const LinkRequest &request)
{
	if (request.confirm && request.return_to == nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_RETURN_TO_REFUSED), errmsg("confirm needs a return_to"),
				 errhint("The code for oauth_flow_confirm() comes to the application there.")));
}

const text *text_argument(FunctionCallInfo fcinfo, Argument argument)
{
	return PG_ARGISNULL(argument) ? nullptr : PG_GETARG_TEXT_PP(argument);
}

LinkRequest read_request(FunctionCallInfo fcinfo, const TokenTable &table)
{
	LinkRequest request = {};
	request.identity = identity_from_arguments(fcinfo, 0, table);
	identity_check_storable(request.identity);
	check_provider(view_of(DatumGetTextPP(request.identity.provider())));
	request.actor_type = CStringGetTextDatum(
		DatumGetCString(DirectFunctionCall1(enum_out, request.identity.actor_type())));
	request.scopes = text_argument(fcinfo, kScopesArgument);
	request.return_to = text_argument(fcinfo, kReturnTo);
	request.confirm = PG_ARGISNULL(kConfirm) ? confirm_flows_setting : PG_GETARG_BOOL(kConfirm);
	return request;
}

void check_request(const LinkRequest &request, const FlowSettings &settings)
{
	check_public_url_is_set(settings);
	check_provider_is_known(view_of(DatumGetTextPP(request.identity.provider())), settings);
	check_return_to(request.return_to, settings);
	check_confirm(request);
	check_scopes(request.scopes);
}

void keep_link(const LinkRequest &request, const common::Hash &ticket_hash)
{
	const TimestampTz now = GetCurrentTimestamp();
	purge_links(now, kPurgedByTheWay);
	insert_link(request, ticket_hash, now);
	trim_links(request, now);
}

text *make_url(std::string_view public_url, std::string_view provider, std::string_view ticket)
{
	char *url =
		psprintf("%.*s/oauth/%.*s/authorize?ticket=%.*s", static_cast<int>(public_url.size()),
				 public_url.data(), static_cast<int>(provider.size()), provider.data(),
				 static_cast<int>(ticket.size()), ticket.data());
	text *result = cstring_to_text(url);
	common::wipe(url, strlen(url));
	pfree(url);
	return result;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_authorize_url)
{
	PreventCommandIfReadOnly("oauth_authorize_url()");
	const TokenTable &table = lock_token_table(AccessShareLock);
	LinkRequest request = read_request(fcinfo, table);
	MemoryContext caller = CurrentMemoryContext;
	SPI_connect();
	const FlowSettings settings = read_flow_settings();
	check_request(request, settings);
	request.seconds = settings.flow_seconds;
	key_ring_size(); // without a key no attempt could be opened
	check_may_store(table, request.identity);

	common::RandomSecret ticket;
	new_flow_secret(ticket);
	const std::string_view ticket_text(ticket.data(), ticket.size());
	keep_link(request, flow_hash_of(ticket_text));
	MemoryContextSwitchTo(caller);
	text *url = make_url(settings.public_url, view_of(DatumGetTextPP(request.identity.provider())),
						 ticket_text);
	common::wipe(ticket.data(), ticket.size());
	SPI_finish();
	PG_RETURN_TEXT_P(url);
}
