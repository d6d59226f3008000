// Values as PostgreSQL writes them in text form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.hpp"
#include "database/pool.hpp"

namespace sidecar::database
{

// A list of parameters in the making; a named local, since g++ 12 destroys what
// is made within a co_await expression twice.
class Parameters
{
public:
	Parameters &add(const std::string &text);
	Parameters &add(const std::optional<std::string> &text); // nothing is NULL
	Parameters &add(const std::optional<Secret> &text);
	Parameters &add(const Secret &text) { return append(text.reveal()); }
	Parameters &add(const char *) = delete; // or it would be text, empty or not
	Parameters &add(const oauth::Digest &bytes);
	Parameters &add(const std::vector<std::string> &texts);    // text[]
	Parameters &add(const std::vector<std::int64_t> &numbers); // bigint[]
	Parameters &add(std::optional<int> number);
	Parameters &add_or_null(std::string_view text); // NULL where it is empty
	Parameters &add_null();

	std::vector<Parameter> take() { return std::move(list_); }

private:
	Parameters &append(std::string_view text);

	std::vector<Parameter> list_;
};

// The columns of one row, from left to right. A value that is not of its type is
// a StoreError: the extension is not the one that this was written for.
class Columns
{
public:
	explicit Columns(const Rows &rows, int row = 0) : rows_(rows), row_(row) {}

	std::string text() { return std::string(next()); } // empty where NULL
	std::optional<std::string> optional_text();
	Secret secret() { return Secret(next()); }
	bool boolean() { return next() == "t"; }
	std::optional<double> optional_number(); // nothing where NaN or infinite, too
	// Seconds since 1970 UTC; nothing where it is NULL or `infinity`, which no time
	// reaches. `-infinity` is the earliest time that can be written.
	std::optional<double> optional_time();
	double number() { return optional_number().value_or(0); }
	std::int64_t integer();
	oauth::Digest digest(); // bytea_output = hex, PostgreSQL's default

private:
	std::string_view next() { return rows_.text(row_, column_++); }

	const Rows &rows_;
	int row_;
	int column_ = 0;
};

} // namespace sidecar::database
