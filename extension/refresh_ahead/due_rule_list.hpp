// The rules of those providers whose tokens are refreshed ahead of time. Within an SPI
// connection.
#pragma once

#include "postgres/compat.hpp"
#include "refresh_ahead/due_rules.hpp"

namespace oauth_tokens
{

struct DueRuleList {
	DueRules *rules;
	int size;
};

// Of these providers, an array of text, or of all, in any order.
DueRuleList read_due_rules(Datum providers, bool all);

} // namespace oauth_tokens
