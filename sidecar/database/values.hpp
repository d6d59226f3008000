// Values as PostgreSQL writes them in text form.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.hpp"
#include "common/secret_string.hpp"
#include "database/result.hpp"
#include "oauth/attempt.hpp"

namespace sidecar::database
{

// A text that is NULL if it is empty.
struct OrNull {
	std::string_view value;
};

// The parameters of a statement, in text form; nothing is NULL. They are wiped when the
// statement is done, but for the copy in libpq's buffer, which the next statement overwrites.
class Parameters
{
public:
	Parameters &add(const std::string &text) { return append(text); }
	Parameters &add(const common::Secret &text) { return append(text.reveal()); }
	Parameters &add(const char *) = delete; // or it would be text, empty or not
	Parameters &add(const common::Digest &bytes);
	Parameters &add(const oauth::Identity &identity);          // four of them
	Parameters &add(const std::vector<std::string> &texts);    // text[]
	Parameters &add(const std::vector<std::int64_t> &numbers); // bigint[]
	Parameters &add(bool is_true) { return append(is_true ? "t" : "f"); }
	template <std::integral Number>
	Parameters &add(Number number)
	{
		return append(std::to_string(number));
	}
	template <typename Rep, typename Period>
	Parameters &add(std::chrono::duration<Rep, Period> time) // in its own unit
	{
		return add(time.count());
	}
	template <typename T>
	Parameters &add(const std::optional<T> &value)
	{
		return value ? add(*value) : add_null();
	}
	Parameters &add(OrNull text) { return text.value.empty() ? add_null() : append(text.value); }
	Parameters &add(std::nullopt_t) { return add_null(); }

	const std::vector<std::optional<common::Secret>> &list() const noexcept { return list_; }

private:
	Parameters &append(std::string_view text);
	Parameters &add_null();

	std::vector<std::optional<common::Secret>> list_;
};

// How the extension answers if it is not the one that this was written for.
StoreError misfit();

// The columns of one row, from left to right. Throws misfit() if a value is not of its type.
class Columns
{
public:
	explicit Columns(const Rows &rows, int row = 0) : rows_(rows), row_(row) {}

	std::string text() { return std::string(next()); } // empty if NULL
	std::optional<std::string> optional_text();
	common::Secret secret() { return common::Secret(next()); }
	bool boolean() { return next() == "t"; }
	std::optional<double> optional_number(); // also nothing if NaN or infinite
	// Seconds since 1970 UTC; nothing if it is NULL or `infinity`, which no time
	// reaches. `-infinity` is the earliest time that can be written.
	std::optional<double> optional_time();
	double number() { return optional_number().value_or(0); }
	std::int64_t integer();
	common::Digest digest(); // bytea_output = hex, PostgreSQL's default
	oauth::Identity identity();
	void skip() { column_++; }

private:
	std::string_view next() { return rows_.text(row_, column_++); }

	const Rows &rows_;
	int row_;
	int column_ = 0;
};

} // namespace sidecar::database
