// What libpq answers, owned. Its headers are for the files that talk to it alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "database/database_error.hpp"

struct pg_result;

namespace sidecar::database
{

// Every value may be a token, and is overwritten first: what PQgetvalue() gives
// is memory of the result. Out of reach are libpq's two buffers, which hold the
// last messages sent and received until others take their place.
struct WipeAndClear {
	void operator()(pg_result *result) const noexcept;
};
using Result = std::unique_ptr<pg_result, WipeAndClear>;

bool has_failed(const Result &result) noexcept;
// Empty where libpq made the result itself: no answer came.
std::string sqlstate_of(const Result &result);
StoreError error_of(const Result &result);

// The rows of one statement.
class Rows
{
public:
	explicit Rows(Result result) : result_(std::move(result)) {}

	int count() const noexcept;
	bool is_null(int row, int column) const noexcept;
	std::string_view text(int row, int column) const noexcept; // empty where NULL
	std::optional<std::string> optional_text(int row, int column) const;

private:
	Result result_;
};

} // namespace sidecar::database
