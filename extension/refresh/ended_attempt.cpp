#include "refresh/ended_attempt.hpp"

#include "revocation/revocation_queue.hpp"
#include "schema/row_permission.hpp"

namespace oauth_tokens
{

EndedAttempt find_ended(const TokenTable &table, const Identity &identity, int64 fence)
{
	EndedAttempt ended = {};
	ended.has_row = lock_token(table, identity, &ended.token);
	ended.is_known = find_attempt(fence, identity, ended.token.id, &ended.attempt);
	if (!ended.is_known) {
		// The same as for an attempt, so that nobody learns of those of hidden tokens.
		ended.is_hidden = !ended.has_row && row_security_applies(table);
		return ended;
	}
	if (ended.has_row &&
		memcmp(&ended.attempt.token_id, &ended.token.id, sizeof ended.token.id) == 0)
		return ended;
	LockedToken moved;
	if (!lock_moved_token(table, ended.attempt.token_id, &moved)) {
		// Another token has taken its place, or none has.
		ended.is_hidden = row_security_applies(table);
		return ended;
	}
	if (ended.has_row)
		wipe_token(ended.token);
	ended.token = moved;
	ended.has_row = true;
	// It may have ended while we waited for the row.
	ended.is_known = find_attempt(fence, identity, moved.id, &ended.attempt);
	return ended;
}

const char *end_without_row(const TokenTable &table, const EndedAttempt &ended,
							const Identity &identity, const text *refresh_token)
{
	if (row_security_applies(table))
		return "superseded";
	if (ended.is_known) {
		if (refresh_token != nullptr && !has_spent(ended.attempt, refresh_token))
			queue_refresh_token(identity, refresh_token, ended.attempt.owner);
		delete_attempt(ended.attempt.fence);
	}
	return "deleted";
}

void refuse_hidden_row(const EndedAttempt &ended)
{
	if (!ended.is_hidden)
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("a row security policy hides whether the token is still there"),
					errhint("Call it as a role to which the policies of oauth_tokens show it.")));
}

} // namespace oauth_tokens
