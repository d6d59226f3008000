#include "database/caller.hpp"

#include <map>

#include "database/session.hpp"

namespace sidecar::database
{

namespace
{

constexpr const char *kFindSchema = "SELECT n.nspname FROM pg_catalog.pg_extension e"
									" JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
									" WHERE e.extname = 'oauth_tokens'";

std::string quote_identifier(std::string_view name)
{
	std::string text = "\"";
	for (const char c : name) {
		if (c == '"')
			text += '"';
		text += c;
	}
	return text += '"';
}

// Functions or schema have moved: the extension may have been dropped and created again
// elsewhere.
bool is_missing(const StoreError &error)
{
	return error.sqlstate() == "42883" || error.sqlstate() == "3F000" ||
		   error.sqlstate() == "42P01";
}

} // namespace

struct Caller::Extension {
	const Statement &statement(const char *text)
	{
		const auto found = statements.find(text);
		if (found != statements.end())
			return found->second;
		constexpr std::string_view kPlace = "@extschema@";
		std::string sql = text;
		const std::string name = quote_identifier(schema);
		for (auto at = sql.find(kPlace); at != sql.npos; at = sql.find(kPlace, at + name.size()))
			sql.replace(at, kPlace.size(), name);
		return statements.emplace(text, Statement(std::move(sql))).first->second;
	}

	std::string schema;
	std::map<const char *, Statement> statements; // by the literal
};

// One statement, and none more but to find the extension: at first, and if it
// is not there any more, so that the next call finds it.
Caller::Awaitable<Rows> Caller::send(const char *text, Parameters parameters)
{
	const std::shared_ptr<Extension> extension = co_await find();
	try {
		co_return co_await pool_.query(extension->statement(text), std::move(parameters));
	} catch (const StoreError &error) {
		if (is_missing(error) && extension_ == extension)
			extension_.reset();
		throw;
	}
}

Caller::Awaitable<std::string> Caller::schema()
{
	const std::shared_ptr<Extension> extension = co_await find();
	co_return extension->schema;
}

Caller::Awaitable<std::shared_ptr<Caller::Extension>> Caller::find()
{
	if (extension_)
		co_return extension_;
	static const Statement find_schema(kFindSchema);
	Parameters none;
	const Rows rows = co_await pool_.query(find_schema, std::move(none));
	if (rows.count() == 0)
		throw StoreError("42704", "the database has no extension oauth_tokens", {},
						 "CREATE EXTENSION oauth_tokens; SELECT oauth_tokens_upgrade()");
	extension_ = std::make_shared<Extension>();
	extension_->schema = rows.text(0, 0);
	co_return extension_;
}

} // namespace sidecar::database
