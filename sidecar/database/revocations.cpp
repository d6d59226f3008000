#include "database/revocations.hpp"

namespace sidecar::database
{

namespace
{

constexpr const char *kClaim = R"(SELECT id, provider, client_id, issuer, refresh_token,
	access_token, shared, attempts FROM oauth_tokens_internal.revocations_claim($1::bigint,
	pg_catalog.make_interval(secs => $2::float8), $3::text[]))";

constexpr const char *kDone = R"(SELECT oauth_tokens_internal.revocation_done(
	$1::uuid, $2::text, $3::text, pg_catalog.make_interval(secs => $4::float8)))";

constexpr const char *kWaiting = "SELECT oauth_tokens_internal.revocations_waiting()";

} // namespace

Revocations::Awaitable<std::vector<ClaimedRevocation>>
Revocations::claim(int most, std::chrono::seconds lease, const std::vector<std::string> &providers)
{
	const Rows rows = co_await caller_.run(kClaim, most, lease, providers);
	std::vector<ClaimedRevocation> claimed;
	for (int row = 0; row < rows.count(); row++) {
		Columns columns(rows, row);
		ClaimedRevocation &one = claimed.emplace_back();
		one.id = columns.text();
		one.provider = columns.text();
		one.client_id = columns.text();
		one.issuer = columns.text();
		one.refresh_token = columns.secret();
		one.access_token = columns.secret();
		one.is_shared = columns.boolean();
		one.attempts = static_cast<int>(columns.integer());
	}
	co_return claimed;
}

Revocations::Awaitable<Revocations::Ended>
Revocations::end(const std::string &id, std::string_view outcome, std::string_view reason,
				 std::optional<std::chrono::seconds> after)
{
	const Rows rows = co_await caller_.run(kDone, id, OrNull{outcome}, OrNull{reason}, after);
	Columns columns(rows);
	const std::string ended = columns.text();
	co_return ended == "done" ? Ended::done
	: ended == "retry"        ? Ended::retry
	: ended == "given_up"     ? Ended::given_up
							  : Ended::gone;
}

Revocations::Awaitable<std::int64_t> Revocations::waiting()
{
	const Rows rows = co_await caller_.run(kWaiting);
	Columns columns(rows);
	co_return columns.integer();
}

} // namespace sidecar::database
