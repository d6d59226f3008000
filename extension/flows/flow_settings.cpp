#include "flows/flow_settings.hpp"

#include "common/provider_name.hpp"
#include "common/return_address.hpp"
#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "postgres/member_query.hpp"
#include "settings.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

std::string_view without_final_slash(std::string_view url)
{
	return url.substr(0, url.ends_with('/') ? url.size() - 1 : url.size());
}

std::span<const std::string_view> views_of(Datum array)
{
	Datum *elements;
	bool *nulls;
	int count;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	auto *views = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * (count + 1)));
	for (int i = 0; i < count; i++)
		views[i] = nulls[i] ? std::string_view() : view_of(DatumGetTextPP(elements[i]));
	return {views, static_cast<std::size_t>(count)};
}

[[noreturn]] void raise_bad_setting(const char *message, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg_internal("%s", message),
					errhint("%s", hint)));
	pg_unreachable();
}

int flow_seconds_of(const Interval *ttl)
{
	const std::uint64_t seconds = microseconds_of(ttl, "flow_ttl") / USECS_PER_SEC;
	if (seconds < 1 || seconds > kMaxFlowSeconds)
		raise_bad_setting("flow_ttl is out of range", "Use 1 second to 1 day.");
	return static_cast<int>(seconds);
}

bool is_base_name(std::string_view name)
{
	return common::is_provider_name(name) && common::provider_base(name) == name;
}

// What is wrong, and what would be right; null if nothing is.
struct Fault {
	const char *what;
	const char *hint;
};

Fault error_of_url(std::string_view public_url)
{
	if (common::is_public_url(public_url))
		return {};
	return {"public_url is not a public URL",
			"It is an https URL, or an http URL of localhost, without user, query and fragment."};
}

Fault fault_of_lists(std::span<const std::string_view> origins,
					 std::span<const std::string_view> providers)
{
	for (const std::string_view origin : origins)
		if (!common::is_origin_pattern(origin))
			return {"return_to_origins holds what is no origin",
					"An origin is like https://app.example.com or https://*.example.com, in lower "
					"case and without a path."};
	for (const std::string_view provider : providers)
		if (!is_base_name(provider))
			return {"providers holds what is no provider's name",
					"A name is [a-z0-9][a-z0-9_-]*; its labels are not published."};
	return {};
}

void check_published(const Fault &fault)
{
	if (fault.what != nullptr)
		raise_bad_setting(fault.what, fault.hint);
}

// Something else than publish_settings() may have written the row.
void check_read(const Fault &fault)
{
	if (fault.what != nullptr)
		ereport(ERROR, (errcode(ERRCODE_NO_PUBLIC_URL),
						errmsg("what the sidecar published was changed, and is no longer valid"),
						errdetail_internal("%s.", fault.what),
						errhint("Restart the sidecar, which publishes its settings again.")));
}

// Writes nothing if it is as it was: sidecars start more often than they are
// configured anew.
void publish(Datum public_url, int flow_seconds, Datum origins, Datum providers)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.sidecar_settings AS s"
		" (public_url, flow_seconds, return_to_origins, providers, published_at)"
		" VALUES ($1, $2, $3, $4, $5) ON CONFLICT (one) DO UPDATE SET public_url = $1,"
		" flow_seconds = $2, return_to_origins = $3, providers = $4, published_at = $5"
		" WHERE NOT (s.public_url OPERATOR(pg_catalog.=) $1"
		" AND s.flow_seconds OPERATOR(pg_catalog.=) $2"
		" AND s.return_to_origins OPERATOR(pg_catalog.=) $3"
		" AND s.providers OPERATOR(pg_catalog.=) $4)"};
	run(statement, {{TEXTOID, public_url},
					as::int4(flow_seconds),
					{TEXTARRAYOID, origins},
					{TEXTARRAYOID, providers},
					as::timestamptz(GetCurrentTimestamp())});
}

} // namespace

bool check_public_url(char **newval, void **, GucSource)
{
	const std::string_view url = *newval;
	if (!url.empty() && !common::is_public_url(url)) {
		GUC_check_errdetail("It must be an https URL, or an http URL of localhost, without user, "
							"query and fragment.");
		return false;
	}
	(*newval)[without_final_slash(url).size()] = '\0';
	return true;
}

FlowSettings read_flow_settings()
{
	static MemberQuery statement = {"SELECT public_url, flow_seconds, return_to_origins, providers"
									" FROM oauth_tokens_internal.sidecar_settings"};
	FlowSettings settings = {};
	settings.flow_seconds = kDefaultFlowSeconds;
	settings.published = run(statement, {}) > 0;
	if (settings.published) {
		settings.public_url = view_of(DatumGetTextPP(returned(1)));
		settings.flow_seconds = DatumGetInt32(returned(2));
		settings.return_to_origins = views_of(returned(3));
		settings.providers = views_of(returned(4));
		check_read(fault_of_lists(settings.return_to_origins, settings.providers));
		if (settings.flow_seconds < 1 || settings.flow_seconds > kMaxFlowSeconds)
			check_read({"flow_seconds is out of range", nullptr});
	}
	if (public_url_setting[0] != '\0')
		settings.public_url = public_url_setting; // it was checked when it was set
	else if (settings.published)
		check_read(error_of_url(settings.public_url));
	return settings;
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_publish_settings)
{
	constexpr const char *names[] = {"public_url", "flow_ttl", "return_to_origins", "providers"};
	PreventCommandIfReadOnly("publish_settings()");
	for (int i = 0; i < static_cast<int>(lengthof(names)); i++)
		refuse_null_argument(fcinfo, i, names[i]);
	const std::string_view public_url = view_of(PG_GETARG_TEXT_PP(0));
	check_published(error_of_url(public_url));
	check_published(fault_of_lists(views_of(PG_GETARG_DATUM(2)), views_of(PG_GETARG_DATUM(3))));
	const std::string_view kept = without_final_slash(public_url);
	SPI_connect();
	publish(PointerGetDatum(cstring_to_text_with_len(kept.data(), kept.size())),
			flow_seconds_of(PG_GETARG_INTERVAL_P(1)), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3));
	SPI_finish();
	PG_RETURN_VOID();
}
