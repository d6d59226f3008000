// The statements of the store, with the schema that the extension is in.
#pragma once

#include <string>
#include <string_view>

namespace sidecar::database
{

// Values are parameters in text form, each with its type written beside it, and
// columns are asked for by name. What stands in oauth_tokens_internal stands
// there wherever the extension is.
struct Statements {
	explicit Statements(std::string_view extension_schema);

	std::string schema; // as it is called, unquoted

	std::string publish;
	std::string authorize_url;
	std::string open_attempt;
	std::string claim;
	std::string store;
	std::string connection;
	std::string token;
	std::string delete_token;
	std::string purge;
	std::string is_ready;
	std::string missing_privileges; // $1: the schema; a line for each
	std::string rehearse;
	std::string cache_registration;
	std::string cache_register;
	std::string cache_unregister;
	std::string changes_wait;
	std::string changes_pending;
	std::string changes_ack;
	std::string revocations_claim;
	std::string revocation_done;
	std::string revocations_waiting;
	std::string refresh_begin;
	std::string refresh_commit;
	std::string refresh_fail;
	std::string refresh_replay;
	std::string refresh_is_running;
	std::string cluster;
	std::string publish_refresh_rules;
	std::string refresh_purge;
	std::string refresh_due;
	std::string refresh_backlog;
	std::string refresh_requests_wait;
	std::string refresh_request_done;
	std::string refresh_doubts; // $1: whether ahead of time, too; $2: the schema; a line for each

private:
	void add_refreshes(const std::string &there); // refresh_statements.cpp
};

// Which schema that is: no row where the extension is not there.
extern const std::string kFindSchema;
extern const std::string kConfirmsFlows;

} // namespace sidecar::database
