// libpq's results, owned. Only files that call libpq include its headers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "database/database_error.hpp"

struct pg_result;

namespace sidecar::database
{

// Every value may be a token, so all are overwritten first: PQgetvalue() returns memory of the
// result. We cannot wipe libpq's two buffers, which keep the last messages sent and received
// until others replace them.
struct WipeAndClear {
	void operator()(pg_result *result) const noexcept;
};
using Result = std::unique_ptr<pg_result, WipeAndClear>;

bool has_failed(const Result &result) noexcept;
// Empty if libpq made the result itself: no answer came.
std::string sqlstate_of(const Result &result);
StoreError error_of(const Result &result);

// The rows of one statement.
class Rows
{
public:
	explicit Rows(Result result) : result_(std::move(result)) {}

	int count() const noexcept;
	bool is_null(int row, int column) const noexcept;
	std::string_view text(int row, int column) const noexcept; // empty if NULL
	std::optional<std::string> optional_text(int row, int column) const;

private:
	Result result_;
};

} // namespace sidecar::database
