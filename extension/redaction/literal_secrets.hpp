// oauth_tokens.literal_secrets: what happens if a secret stands in a statement as a
// constant, and not as a parameter. Only analysis can tell one from the other; a
// constant has then already been in the log if log_statement is on and the statement's
// text names nothing of ours.
#pragma once

struct Query;

namespace oauth_tokens
{

// Warns or raises 22023 if an argument of this analyzed statement is a secret and a
// constant.
void check_literals(Query *query);

} // namespace oauth_tokens
