// What libpq hands out, owned. For the files of the pool alone: nothing else of
// the sidecar sees libpq.
#pragma once

#include <libpq-fe.h>

#include <memory>

#include "database/pool.hpp"
#include "database/token_store.hpp"

namespace sidecar::database
{

struct CloseConnection {
	void operator()(PGconn *connection) const noexcept { PQfinish(connection); }
};
using ConnectionHandle = std::unique_ptr<PGconn, CloseConnection>;

// Every value may be a token, and is overwritten first: what PQgetvalue() gives
// is memory of the result. Out of reach are libpq's two buffers, which hold the
// last messages sent and received until others take their place.
struct WipeAndClear {
	void operator()(PGresult *result) const noexcept;
};
using Result = std::unique_ptr<PGresult, WipeAndClear>;

struct Rows::Impl {
	Result result;
};

bool has_failed(const Result &result) noexcept;
// Empty where libpq made the result itself: no answer came.
std::string sqlstate_of(const Result &result);
StoreError error_of(const Result &result);

} // namespace sidecar::database
