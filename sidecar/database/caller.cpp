#include "database/caller.hpp"

namespace sidecar::database
{

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

// One statement, and none more but to find the extension: at first, and where it
// is not there any more, so that the next call finds it.
Caller::Awaitable<Rows> Caller::run(Text statement, Parameters parameters)
{
	const StatementsPtr texts = co_await known();
	std::vector<Parameter> list = parameters.take();
	try {
		co_return co_await pool_.query((*texts).*statement, std::move(list));
	} catch (const StoreError &error) {
		if (is_missing(error) && statements_ == texts)
			statements_.reset();
		throw;
	}
}

Caller::Awaitable<Caller::StatementsPtr> Caller::known()
{
	StatementsPtr texts = co_await find();
	if (!texts)
		throw StoreError("42704", "the database has no extension oauth_tokens", {},
						 "CREATE EXTENSION oauth_tokens; SELECT oauth_tokens_upgrade()");
	co_return texts;
}

Caller::Awaitable<Caller::StatementsPtr> Caller::find()
{
	if (!statements_) {
		std::vector<Parameter> none;
		const Rows rows = co_await pool_.query(kFindSchema, std::move(none));
		if (rows.count() > 0)
			statements_ = std::make_shared<const Statements>(rows.text(0, 0));
	}
	co_return statements_;
}

} // namespace sidecar::database
