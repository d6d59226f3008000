#include "database/result.hpp"

#include <libpq-fe.h>
#include <openssl/crypto.h>

namespace sidecar::database
{

namespace
{

std::string field_of(const Result &result, int field)
{
	const char *text = PQresultErrorField(result.get(), field);
	return text == nullptr ? std::string() : std::string(text);
}

} // namespace

void WipeAndClear::operator()(PGresult *result) const noexcept
{
	for (int row = 0; row < PQntuples(result); row++)
		for (int column = 0; column < PQnfields(result); column++)
			if (const int length = PQgetlength(result, row, column); length > 0)
				OPENSSL_cleanse(PQgetvalue(result, row, column), static_cast<size_t>(length));
	PQclear(result);
}

bool has_failed(const Result &result) noexcept
{
	const ExecStatusType status = PQresultStatus(result.get());
	return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

std::string sqlstate_of(const Result &result)
{
	return field_of(result, PG_DIAG_SQLSTATE);
}

StoreError error_of(const Result &result)
{
	std::string state = sqlstate_of(result);
	if (state.empty())
		return StoreError({}, "the connection to the database was lost");
	StoreError error(state, field_of(result, PG_DIAG_MESSAGE_PRIMARY));
	// The hint says what to do about a token that does not open; the detail names whose it is.
	if (state == "OT003")
		return StoreError(std::move(state), error.what(), {},
						  field_of(result, PG_DIAG_MESSAGE_HINT));
	if (!error.is_setup())
		return error;
	return StoreError(std::move(state), error.what(), field_of(result, PG_DIAG_MESSAGE_DETAIL),
					  field_of(result, PG_DIAG_MESSAGE_HINT));
}

int Rows::count() const noexcept
{
	return PQntuples(result_.get());
}

bool Rows::is_null(int row, int column) const noexcept
{
	return PQgetisnull(result_.get(), row, column) != 0;
}

std::string_view Rows::text(int row, int column) const noexcept
{
	const PGresult *result = result_.get();
	return {PQgetvalue(result, row, column),
			static_cast<std::size_t>(PQgetlength(result, row, column))};
}

std::optional<std::string> Rows::optional_text(int row, int column) const
{
	if (is_null(row, column))
		return std::nullopt;
	return std::string(text(row, column));
}

} // namespace sidecar::database
