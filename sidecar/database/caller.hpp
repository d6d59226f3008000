// Calls the extension's functions: finds the schema that it is in, and then runs one
// statement a call.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "database/pool.hpp"
#include "database/statements.hpp"
#include "database/token_store.hpp"
#include "database/values.hpp"

namespace sidecar::database
{

class Caller
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;
	// Shared with the statements under way, whose texts have to stay.
	using StatementsPtr = std::shared_ptr<const Statements>;
	using Text = std::string Statements::*;

	explicit Caller(Pool &pool) : pool_(pool) {}

	// These throw StoreError.
	Awaitable<Rows> run(Text statement, Parameters parameters);
	Awaitable<StatementsPtr> known();
	// Nothing where the database has no such extension.
	Awaitable<StatementsPtr> find();

	Pool &pool() noexcept { return pool_; }

private:
	Pool &pool_;
	StatementsPtr statements_;
};

// Functions or schema are not where they were: the extension may have been
// dropped and made again elsewhere.
bool is_missing(const StoreError &error);

void add_identity(Parameters &parameters, const oauth::Identity &identity);

} // namespace sidecar::database
