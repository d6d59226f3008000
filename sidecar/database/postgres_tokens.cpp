#include "database/postgres_tokens.hpp"

namespace sidecar::database
{

namespace
{

// How a rehearsal ends that met no error.
constexpr std::string_view kRehearsed = "OT999";
constexpr std::chrono::seconds kBetweenRehearsals{5};
constexpr std::chrono::seconds kBetweenQuietRehearsals{60};
constexpr std::string_view kNoRight = "42501";
constexpr const char *kNobody = "00000000-0000-0000-0000-000000000000"; // no workspace

oauth::Link read_link(Columns &columns)
{
	oauth::Link link;
	link.identity.workspace_id = columns.text();
	link.identity.provider = columns.text();
	link.identity.actor_type = columns.text();
	link.identity.actor_id = columns.text();
	link.scopes = columns.optional_text();
	link.return_to = columns.optional_text();
	link.confirm = columns.boolean();
	return link;
}

oauth::StoreResult read_outcome(const Rows &rows)
{
	using Kind = oauth::StoreResult::Kind;
	oauth::StoreResult result{Kind::expired, Secret()};
	if (rows.count() == 0)
		return result;
	Columns columns(rows);
	const std::string outcome = columns.text();
	if (outcome == "connected")
		result.kind = Kind::connected;
	else if (outcome == "confirm")
		result.kind = Kind::confirm;
	else if (outcome != "expired")
		throw StoreError("42804", "the extension answered in another form than expected");
	result.flow = columns.secret();
	return result;
}

} // namespace

PostgresTokens::Awaitable<void> PostgresTokens::publish(const PublishedSettings &settings)
{
	Parameters parameters;
	parameters.add(settings.public_url)
		.add(std::optional(settings.flow_seconds))
		.add(settings.return_to_origins)
		.add(settings.providers);
	co_await caller_.run(&Statements::publish, std::move(parameters));
}

PostgresTokens::Awaitable<std::string> PostgresTokens::authorize_url(const oauth::Link &link)
{
	Parameters parameters;
	add_identity(parameters, link.identity);
	parameters.add(link.scopes).add(link.return_to);
	parameters.add_or_null(!link.confirm ? "" : *link.confirm ? "t" : "f");
	const Rows rows = co_await caller_.run(&Statements::authorize_url, std::move(parameters));
	Columns columns(rows);
	co_return columns.text();
}

PostgresTokens::Awaitable<std::optional<oauth::OpenedAttempt>>
PostgresTokens::open_attempt(const oauth::Digest &ticket_hash, const std::string &provider,
							 const oauth::ProviderEndpoints &endpoints,
							 const std::string &client_id)
{
	Parameters parameters;
	parameters.add(ticket_hash)
		.add(provider)
		.add_or_null(endpoints.issuer)
		.add(endpoints.token)
		.add(client_id);
	const Rows rows = co_await caller_.run(&Statements::open_attempt, std::move(parameters));
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	oauth::OpenedAttempt attempt;
	attempt.link = read_link(columns);
	attempt.state = columns.secret();
	attempt.browser_secret = columns.secret();
	attempt.code_verifier = columns.secret();
	attempt.nonce = columns.secret();
	attempt.expires_in = static_cast<int>(columns.integer());
	co_return attempt;
}

PostgresTokens::Awaitable<std::optional<oauth::ClaimedAttempt>>
PostgresTokens::claim(const oauth::ClaimAttempt &claim)
{
	Parameters parameters;
	parameters.add(claim.state_hash).add(claim.browser_hash).add(claim.provider);
	const Rows rows = co_await caller_.run(&Statements::claim, std::move(parameters));
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	oauth::ClaimedAttempt attempt;
	attempt.link = read_link(columns);
	attempt.ticket_hash = columns.digest();
	attempt.code_verifier = columns.secret();
	attempt.nonce = columns.secret();
	attempt.issuer = columns.text();
	attempt.token_endpoint = columns.text();
	attempt.client_id = columns.text();
	co_return attempt;
}

// Where no answer comes, it may or may not be stored: the StoreError without an
// SQLSTATE says so.
PostgresTokens::Awaitable<oauth::StoreResult>
PostgresTokens::store(const oauth::Digest &ticket_hash, const oauth::Grant &grant)
{
	Parameters parameters;
	parameters.add(ticket_hash)
		.add(grant.access_token)
		.add(grant.refresh_token)
		.add(grant.expires_in)
		.add(grant.scopes)
		.add_or_null(grant.details);
	const Rows rows = co_await caller_.run(&Statements::store, std::move(parameters));
	co_return read_outcome(rows);
}

PostgresTokens::Awaitable<std::optional<ConnectedAccount>>
PostgresTokens::connection(const oauth::Identity &identity)
{
	Parameters parameters;
	add_identity(parameters, identity);
	const Rows rows = co_await caller_.run(&Statements::connection, std::move(parameters));
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	ConnectedAccount connection;
	connection.state = columns.text();
	connection.scopes = columns.optional_text();
	connection.has_refresh_token = columns.boolean();
	connection.expires_at = columns.optional_time();
	connection.details = columns.text();
	connection.updated_at = columns.optional_time();
	connection.reason = columns.optional_text();
	connection.since = columns.optional_time();
	connection.next_attempt_at = columns.optional_time();
	connection.refresh_expires_at = columns.optional_time();
	co_return connection;
}

PostgresTokens::Awaitable<std::optional<StoredToken>>
PostgresTokens::token(const oauth::Identity &identity, bool with_refresh_token)
{
	Parameters parameters;
	add_identity(parameters, identity);
	parameters.add_or_null(with_refresh_token ? "t" : "f");
	const Rows rows = co_await caller_.run(&Statements::token, std::move(parameters));
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	StoredToken token;
	token.access_token = columns.secret();
	token.scopes = columns.optional_text();
	token.expires_at = columns.optional_time();
	token.has_refresh_token = columns.boolean();
	token.now = columns.number();
	token.details = columns.text();
	token.registration_id = columns.text();
	token.refresh_token = columns.secret();
	token.read_at = columns.number();
	co_return token;
}

PostgresTokens::Awaitable<DeletedToken>
PostgresTokens::delete_token(const oauth::Identity &identity, oauth::Revoke revoke)
{
	Parameters parameters;
	add_identity(parameters, identity);
	parameters.add(std::string(oauth::name_of(revoke)));
	const Rows rows = co_await caller_.run(&Statements::delete_token, std::move(parameters));
	Columns columns(rows);
	DeletedToken deleted;
	deleted.was_there = columns.boolean();
	deleted.is_queued = columns.text() == "queued";
	co_return deleted;
}

PostgresTokens::Awaitable<std::int64_t> PostgresTokens::purge()
{
	Parameters none;
	const Rows rows = co_await caller_.run(&Statements::purge, std::move(none));
	Columns columns(rows);
	co_return columns.integer();
}

PostgresTokens::Awaitable<Readiness> PostgresTokens::readiness()
{
	Readiness readiness;
	try {
		const bool is_current = co_await look();
		// Nobody has this identity: what would fail for others fails for it, too.
		const oauth::Identity nobody{kNobody, "-", "user", "-"};
		co_await token(nobody, false);
		co_await rehearse_now_and_then(is_current);
		if (is_current)
			co_return readiness;
		readiness.warning = "the tables or triggers are not as the migration made them, though "
							"requests succeed; call SELECT oauth_tokens_upgrade()";
	} catch (const StoreError &error) {
		readiness.fault = error.text();
		readiness.is_away = error.sqlstate().empty();
	}
	co_return readiness;
}

// Whether the migration is whole.
PostgresTokens::Awaitable<bool> PostgresTokens::look()
{
	Parameters none;
	const Rows rows = co_await caller_.run(&Statements::is_ready, std::move(none));
	Columns columns(rows);
	const bool is_current = columns.boolean();
	if (!columns.boolean())
		co_return is_current;
	// No statement here would write, and so none would tell the pool.
	caller_.pool().leave_read_only();
	throw StoreError("25006", "the server is read-only: it is a standby, or was set so");
}

// What only a request with a token would meet: no key, no unique identity. Anybody may
// ask whether we are ready, and a rehearsal writes, so it is not done each time. A missing
// right is no fault here: a policy may keep us to workspaces that the rehearsal's is none of.
PostgresTokens::Awaitable<void> PostgresTokens::rehearse_now_and_then(bool is_current)
{
	const auto now = std::chrono::steady_clock::now();
	const bool is_suspect = !is_current || last_rehearsal_;
	if (now - rehearsed_ >= (is_suspect ? kBetweenRehearsals : kBetweenQuietRehearsals)) {
		rehearsed_ = now;
		last_rehearsal_.reset();
		try {
			co_await rehearse();
		} catch (const StoreError &error) {
			if (error.is_setup() && error.sqlstate() != kNoRight)
				last_rehearsal_ = error;
		}
	}
	if (last_rehearsal_)
		throw *last_rehearsal_;
}

PostgresTokens::Awaitable<std::vector<std::string>> PostgresTokens::missing_privileges()
{
	const Caller::StatementsPtr texts = co_await caller_.known();
	Parameters parameters;
	parameters.add(texts->schema);
	const Rows rows = co_await caller_.run(&Statements::missing_privileges, std::move(parameters));
	std::vector<std::string> missing;
	for (int row = 0; row < rows.count(); row++)
		missing.emplace_back(rows.text(row, 0));
	if (!missing.empty())
		co_return missing;
	// What the functions read in turn. Nobody has this identity.
	const oauth::Identity nobody{kNobody, "-", "user", "-"};
	try {
		co_await token(nobody, false);
	} catch (const StoreError &error) {
		if (error.sqlstate() != "42501")
			throw;
		missing.emplace_back(error.what());
	}
	co_return missing;
}

PostgresTokens::Awaitable<void> PostgresTokens::rehearse()
{
	try {
		Parameters none;
		co_await caller_.run(&Statements::rehearse, std::move(none));
	} catch (const StoreError &error) {
		if (error.sqlstate() != kRehearsed)
			throw;
	}
}

PostgresTokens::Awaitable<bool> PostgresTokens::confirms_flows()
{
	std::vector<Parameter> none;
	const Rows rows = co_await caller_.pool().query(kConfirmsFlows, std::move(none));
	Columns columns(rows);
	co_return columns.boolean();
}

} // namespace sidecar::database
