// What a file of the spool contains: one line of JSON.
//
//   {"version":1,"cluster":"7300…/16384","workspace_id":"…","provider":"google",
//    "actor_type":"user","actor_id":"7","fence":"42","sealed":"gAAAA…"}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "oauth/attempt.hpp"

namespace sidecar::spool
{

// Nothing in it is secret: the answer is sealed.
struct Entry {
	std::string cluster; // "<system identifier>/<database oid>"
	oauth::Identity identity;
	std::int64_t fence = 0; // above 0
	std::string sealed;     // of Seal
};

// The line, with its line feed. All texts must be UTF-8.
std::string write_entry(const Entry &entry);

// The entry, or what is wrong with the text, for a person: "it is not JSON". Unknown
// members are ignored. Only the database can say whether `sealed` opens.
std::variant<Entry, std::string> read_entry(std::string_view text);

} // namespace sidecar::spool
