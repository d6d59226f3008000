// Work that may fail, in a subtransaction: so that the transaction goes on, and a session
// outside of a transaction block is not left in an aborted one.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "access/xact.h"
#include "utils/resowner.h"
}

namespace oauth_tokens
{

enum class Keep { yes, no }; // what the work has done, if it succeeds

// The error that `work` raised, by which all that it did is undone; null if it succeeded. The
// caller frees it, or raises it again by ReThrowError().
template <typename Work>
ErrorData *error_of(Keep keep, Work work)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = nullptr;
	BeginInternalSubTransaction(nullptr);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work();
		if (keep == Keep::yes)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

} // namespace oauth_tokens
