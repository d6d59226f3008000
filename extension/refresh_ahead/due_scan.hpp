// Up to where looks have gone: table refresh_scans. Within an SPI connection.
#pragma once

#include "refresh_ahead/due_page.hpp"

namespace oauth_tokens
{

// ValuePosition 0 of time: the next look begins anew.
struct DueScan {
	DueCursor waiting;
	DueCursor recent;
};

DueScan read_scan(const DueRules &rules, DueBy by);
void write_scan(const DueRules &rules, DueBy by, const DueScan &scan);

} // namespace oauth_tokens
