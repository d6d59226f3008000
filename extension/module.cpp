#include "key_page.hpp"
#include "token_table.hpp"

#include "postgres.hpp"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init();

void _PG_init()
{
	oauth_tokens::key_page_init();
	oauth_tokens::token_table_init();
}
}
