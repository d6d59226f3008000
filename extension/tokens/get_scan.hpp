// `FROM oauth_get(…)` as a custom scan, which calls the function and takes its row directly. The
// executor's own scan of a function puts rows into a tuplestore, at a tenth of what a
// look-up costs.
#pragma once

namespace oauth_tokens
{

void get_scan_init();

} // namespace oauth_tokens
