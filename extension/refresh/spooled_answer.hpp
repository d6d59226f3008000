// What a provider answered, as it lies in a spool file: a JSON object under the spool key
// of its attempt.
#pragma once

#include "postgres/compat.hpp"
#include "refresh/attempt.hpp"

extern "C" {
#include "utils/jsonb.h"
}

namespace oauth_tokens
{

struct SpooledAnswer {
	RefreshedGrant grant;
	Jsonb *json; // wiped by wipe_answer()
};

// Raises OT018 if it does not open, or is not as it must be; no error tells of it.
SpooledAnswer read_spooled(const Attempt &attempt, const text *sealed);

void wipe_answer(const SpooledAnswer &answer);

} // namespace oauth_tokens
