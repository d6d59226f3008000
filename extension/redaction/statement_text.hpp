// Which function of ours a statement's text names: what can be told about a statement
// before PostgreSQL has analyzed it, and in a log record. Plain C++ that allocates
// nothing and cannot fail, since it runs while an error is reported.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace oauth_tokens
{

// The functions and views that anybody may call. What is in the schema
// oauth_tokens_internal is found by the schema's name. (test_redaction.py compares the
// list with the catalog.)
inline constexpr std::array public_names = {
	std::string_view{"fernet_decrypt"},
	std::string_view{"fernet_encrypt"},
	std::string_view{"fernet_generate_key"},
	std::string_view{"fernet_timestamp"},
	std::string_view{"oauth_access_token"},
	std::string_view{"oauth_authorize_url"},
	std::string_view{"oauth_cache_register"},
	std::string_view{"oauth_cache_unregister"},
	std::string_view{"oauth_changes_ack"},
	std::string_view{"oauth_changes_pending"},
	std::string_view{"oauth_changes_wait"},
	std::string_view{"oauth_connections"},
	std::string_view{"oauth_decrypt"},
	std::string_view{"oauth_delete"},
	std::string_view{"oauth_doctor"},
	std::string_view{"oauth_encrypt"},
	std::string_view{"oauth_flow_confirm"},
	std::string_view{"oauth_fresh_access_token"},
	std::string_view{"oauth_get"},
	std::string_view{"oauth_key_usage"},
	std::string_view{"oauth_move"},
	std::string_view{"oauth_refresh_begin"},
	std::string_view{"oauth_refresh_commit"},
	std::string_view{"oauth_refresh_fail"},
	std::string_view{"oauth_refresh_replay"},
	std::string_view{"oauth_rotate_keys"},
	std::string_view{"oauth_store"},
	std::string_view{"oauth_tokens_adopt_cluster"},
	std::string_view{"oauth_tokens_current"},
	std::string_view{"oauth_tokens_damaged"},
	std::string_view{"oauth_tokens_decrypted"},
	std::string_view{"oauth_tokens_disable_background_refresh"},
	std::string_view{"oauth_tokens_disable_row_security"},
	std::string_view{"oauth_tokens_downgrade"},
	std::string_view{"oauth_tokens_enable_background_refresh"},
	std::string_view{"oauth_tokens_enable_row_security"},
	std::string_view{"oauth_tokens_grant"},
	std::string_view{"oauth_tokens_internal"},
	std::string_view{"oauth_tokens_revoke"},
	std::string_view{"oauth_tokens_upgrade"},
};

// What pg_stat_activity shows in place of a sensitive statement's text, up to the name.
inline constexpr std::string_view placeholder_begin = "<redacted by oauth_tokens: ";

static_assert(std::ranges::all_of(public_names, [](std::string_view name) {
	return name.starts_with("oauth_") || name.starts_with("fernet_");
}));

// A name in PostgreSQL has 63 bytes at most.
struct Name {
	std::array<char, 64> bytes;
	std::size_t length = 0;

	void append(char byte) noexcept
	{
		if (length < bytes.size() - 1)
			bytes[length++] = byte;
	}
	std::string_view text() const noexcept { return {bytes.data(), length}; }
};

// Whether it can be found as a whole: it has letters, digits and underscores, 63 at most.
bool is_name(std::string_view text) noexcept;

// The first name in the text that is one of public_names or of `also` (names in lower
// case, each followed by a newline), in any case, quoted or not, as U&"" too, inside of
// strings and comments too, but for one behind placeholder_begin: a report of a crash or a
// deadlock quotes that. Empty: there is none.
std::string_view named_function(std::string_view text, std::string_view also) noexcept;

// Whether the text contains a string, quoted or dollar-quoted, or a number. Without one,
// a statement that PostgreSQL understands holds no secret.
bool has_constant(std::string_view text) noexcept;

// Calls `visit` with each name of a prepared statement that an `EXECUTE` in the text may
// mean, until it returns true; whether it did.
bool any_executed(std::string_view text, bool (*visit)(Name &, void *), void *context) noexcept;

} // namespace oauth_tokens
