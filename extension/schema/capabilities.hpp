// What a role needs for a purpose: which functions, and which privileges on which
// tables and views.
#pragma once

#include <span>

#include "postgres/compat.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace oauth_tokens
{

enum Capability : unsigned {
	kAccess = 1,
	kReader = 2,
	kWriter = 4,
	kSidecar = 8,
	kAdmin = 16,
	kRefresher = 32,
	kReaders = kReader | kRefresher | kSidecar | kAdmin,
	kWriters = kWriter | kSidecar | kAdmin,
	// The application's word, which the sidecar must not give for it.
	kConfirmers = kWriter | kAdmin,
	kSidecars = kSidecar | kAdmin,
	kRefreshers = kRefresher | kSidecar | kAdmin,
	kAll = 63
};

struct CapabilityName {
	const char *name;
	Capability capability;
	// A function that shows which roles hold it: the most telling one of its own.
	const char *marker;
};

enum class In { extension_schema, internal };

struct RelationGrant {
	In schema;
	const char *relation;
	const char *privileges;
	unsigned capabilities;
};

// Ordered by what they may: the first that has a function is the least that has it.
std::span<const CapabilityName> capability_names();

std::span<const RelationGrant> relation_grants();

Oid schema_of(const RelationGrant &grant);

// By the function's name in SQL, without its schema; 0 if no capability has it.
unsigned capabilities_of_function(const char *name);

struct CapabilityHolder {
	Oid role;
	unsigned capabilities;
};

// The roles that hold a capability, and which: those that they were granted by name, not through
// another role or PUBLIC. As a list of CapabilityHolder *, in the order of their oids, without the
// extension's owner. Within an SPI connection and safe settings.
List *capability_holders();

// Those of one role, in that list.
unsigned capabilities_held(Oid role, const List *holders);

} // namespace oauth_tokens
