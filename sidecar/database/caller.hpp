// Calls the extension's functions: finds the schema that it is in, and then runs one
// statement a call.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "database/pool.hpp"
#include "database/values.hpp"

namespace sidecar::database
{

class Caller
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;

	explicit Caller(Pool &pool) : pool_(pool) {}

	// These throw StoreError. `text` is a literal, in which @extschema@ stands for the
	// extension's schema; what is in oauth_tokens_internal is there wherever the extension
	// is. Each parameter has its type written beside it, and columns are asked for by name.
	template <typename... Values>
	Awaitable<Rows> run(const char *text, const Values &...values)
	{
		Parameters parameters;
		(parameters.add(values), ...);
		return send(text, std::move(parameters));
	}
	Awaitable<std::string> schema(); // unquoted

	Pool &pool() noexcept { return pool_; }

private:
	struct Extension;

	Awaitable<Rows> send(const char *text, Parameters parameters);
	Awaitable<std::shared_ptr<Extension>> find();

	Pool &pool_;
	// Shared with the statements under way, whose texts have to stay.
	std::shared_ptr<Extension> extension_;
};

} // namespace sidecar::database
