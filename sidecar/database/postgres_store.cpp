#include "database/postgres_store.hpp"

#include "database/statements.hpp"
#include "database/values.hpp"

namespace sidecar::database
{

namespace
{

using StatementsPtr = std::shared_ptr<const Statements>;
using Text = std::string Statements::*;

// How a rehearsal ends that met no error.
constexpr std::string_view kRehearsed = "OT999";

// Functions or schema are not where they were: the extension may have been
// dropped and made again elsewhere.
bool is_missing(const StoreError &error)
{
	return error.sqlstate() == "42883" || error.sqlstate() == "3F000" ||
		   error.sqlstate() == "42P01";
}

void add_identity(Parameters &parameters, const oauth::Identity &identity)
{
	parameters.add(identity.workspace_id)
		.add(identity.provider)
		.add(identity.actor_type)
		.add(identity.actor_id);
}

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

struct PostgresStore::Impl {
	explicit Impl(Pool &on) : pool(on) {}

	Awaitable<Rows> run(Text statement, Parameters parameters);
	Awaitable<StatementsPtr> known();
	Awaitable<void> look_up();

	Pool &pool;
	// Shared with the statements under way, whose texts have to stay.
	StatementsPtr statements;
};

// One statement, and none more but to find the extension: at first, and where it
// is not there any more, so that the next call finds it.
PostgresStore::Awaitable<Rows> PostgresStore::Impl::run(Text statement, Parameters parameters)
{
	const StatementsPtr texts = co_await known();
	std::vector<Parameter> list = parameters.take();
	try {
		co_return co_await pool.query((*texts).*statement, std::move(list));
	} catch (const StoreError &error) {
		if (is_missing(error) && statements == texts)
			statements.reset();
		throw;
	}
}

PostgresStore::Awaitable<StatementsPtr> PostgresStore::Impl::known()
{
	if (!statements)
		co_await look_up();
	if (!statements)
		throw StoreError("42704", "the database has no extension oauth_tokens");
	co_return statements;
}

PostgresStore::Awaitable<void> PostgresStore::Impl::look_up()
{
	std::vector<Parameter> none;
	const Rows rows = co_await pool.query(kFindSchema, std::move(none));
	if (rows.count() > 0)
		statements = std::make_shared<const Statements>(rows.text(0, 0));
}

PostgresStore::PostgresStore(Pool &pool) : impl_(std::make_unique<Impl>(pool)) {}
PostgresStore::~PostgresStore() = default;

PostgresStore::Awaitable<void> PostgresStore::publish(const PublishedSettings &settings)
{
	Parameters parameters;
	parameters.add(settings.public_url)
		.add(std::optional(settings.flow_seconds))
		.add(settings.return_to_origins)
		.add(settings.providers);
	co_await impl_->run(&Statements::publish, std::move(parameters));
}

// A link that does not ask for confirmation leaves it to oauth_tokens.confirm_flows.
PostgresStore::Awaitable<std::string> PostgresStore::authorize_url(const oauth::Link &link)
{
	Parameters parameters;
	add_identity(parameters, link.identity);
	parameters.add(link.scopes).add(link.return_to).add_or_null(link.confirm ? "t" : "");
	const Rows rows = co_await impl_->run(&Statements::authorize_url, std::move(parameters));
	Columns columns(rows);
	co_return columns.text();
}

PostgresStore::Awaitable<std::optional<oauth::OpenedAttempt>>
PostgresStore::open_attempt(const oauth::Digest &ticket_hash, const std::string &provider,
							const oauth::Endpoints &endpoints, const std::string &client_id)
{
	Parameters parameters;
	parameters.add(ticket_hash)
		.add(provider)
		.add_or_null(endpoints.issuer)
		.add(endpoints.token)
		.add(client_id);
	const Rows rows = co_await impl_->run(&Statements::open_attempt, std::move(parameters));
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

PostgresStore::Awaitable<std::optional<oauth::ClaimedAttempt>>
PostgresStore::claim(const oauth::Claim &claim)
{
	Parameters parameters;
	parameters.add(claim.state_hash).add(claim.browser_hash).add(claim.provider);
	const Rows rows = co_await impl_->run(&Statements::claim, std::move(parameters));
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
PostgresStore::Awaitable<oauth::StoreResult> PostgresStore::store(const oauth::Digest &ticket_hash,
																  const oauth::Grant &grant)
{
	Parameters parameters;
	parameters.add(ticket_hash)
		.add(grant.access_token)
		.add(grant.refresh_token)
		.add(grant.expires_in)
		.add(grant.scopes)
		.add_or_null(grant.details);
	const Rows rows = co_await impl_->run(&Statements::store, std::move(parameters));
	co_return read_outcome(rows);
}

PostgresStore::Awaitable<std::optional<Connection>>
PostgresStore::connection(const oauth::Identity &identity)
{
	Parameters parameters;
	add_identity(parameters, identity);
	const Rows rows = co_await impl_->run(&Statements::connection, std::move(parameters));
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	Connection connection;
	connection.state = columns.text();
	connection.scopes = columns.optional_text();
	connection.has_refresh_token = columns.boolean();
	connection.expires_at = columns.optional_number();
	connection.details = columns.text();
	connection.updated_at = columns.number();
	co_return connection;
}

PostgresStore::Awaitable<std::optional<StoredToken>>
PostgresStore::token(const oauth::Identity &identity)
{
	Parameters parameters;
	add_identity(parameters, identity);
	const Rows rows = co_await impl_->run(&Statements::token, std::move(parameters));
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	StoredToken token;
	token.access_token = columns.secret();
	token.scopes = columns.optional_text();
	token.expires_at = columns.optional_number();
	token.has_refresh_token = columns.boolean();
	token.now = columns.number();
	token.details = columns.text();
	co_return token;
}

PostgresStore::Awaitable<bool> PostgresStore::erase(const oauth::Identity &identity)
{
	Parameters parameters;
	add_identity(parameters, identity);
	const Rows rows = co_await impl_->run(&Statements::erase, std::move(parameters));
	Columns columns(rows);
	co_return columns.boolean();
}

PostgresStore::Awaitable<std::int64_t> PostgresStore::purge()
{
	Parameters none;
	const Rows rows = co_await impl_->run(&Statements::purge, std::move(none));
	Columns columns(rows);
	co_return columns.integer();
}

PostgresStore::Awaitable<bool> PostgresStore::is_ready()
{
	if (!impl_->statements)
		co_await impl_->look_up();
	if (!impl_->statements)
		co_return false;
	try {
		Parameters none;
		const Rows rows = co_await impl_->run(&Statements::is_ready, std::move(none));
		Columns columns(rows);
		co_return columns.boolean();
	} catch (const StoreError &error) {
		if (!is_missing(error))
			throw;
	}
	co_return false;
}

PostgresStore::Awaitable<std::vector<std::string>> PostgresStore::missing_privileges()
{
	const StatementsPtr texts = co_await impl_->known();
	Parameters parameters;
	parameters.add(texts->schema);
	const Rows rows = co_await impl_->run(&Statements::missing_privileges, std::move(parameters));
	std::vector<std::string> missing;
	for (int row = 0; row < rows.count(); row++)
		missing.emplace_back(rows.text(row, 0));
	if (!missing.empty())
		co_return missing;
	// What the functions read in turn. Nobody has this identity.
	const oauth::Identity nobody{"00000000-0000-0000-0000-000000000000", "-", "user", "-"};
	try {
		co_await token(nobody);
	} catch (const StoreError &error) {
		if (error.sqlstate() != "42501")
			throw;
		missing.emplace_back(error.what());
	}
	co_return missing;
}

PostgresStore::Awaitable<void> PostgresStore::rehearse()
{
	try {
		Parameters none;
		co_await impl_->run(&Statements::rehearse, std::move(none));
	} catch (const StoreError &error) {
		if (error.sqlstate() != kRehearsed)
			throw;
	}
}

PostgresStore::Awaitable<bool> PostgresStore::confirms_flows()
{
	std::vector<Parameter> none;
	const Rows rows = co_await impl_->pool.query(kConfirmsFlows, std::move(none));
	Columns columns(rows);
	co_return columns.boolean();
}

} // namespace sidecar::database
