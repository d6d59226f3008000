// The spool: providers' answers, sealed, on their way into the database
// (OAUTH_SPOOL_DIR). An answer is here before the first try to commit it, and goes when
// the database has it.
//
// Several processes may use one directory, for one database: a reservation is its
// process' own, and an answer is anybody's. Two may hand in one answer at a time, since
// oauth_refresh_replay() is idempotent; removing what is gone is fine.
//
// All calls block on the disk, and belong on a worker thread, not on the event loop;
// any number may run at the same time. A directory that comes back (a mount, a chmod)
// works at the next call.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spool/entry.hpp"
#include "spool/error.hpp"
#include "spool/reservation.hpp"
#include "spool/seal.hpp"

namespace sidecar::spool
{

struct Listing {
	std::vector<std::string> answers; // names, by ascending fence: oldest first
	std::size_t set_aside = 0;        // files that are kept for a person
};

struct Reading {
	enum class State {
		answer,  // `entry`
		damaged, // `reason`: set it aside
		gone,    // somebody removed it: there is nothing to do
	};
	State state = State::gone;
	Entry entry;
	std::string reason; // "it is not one line of JSON"
};

class Spool
{
public:
	// Touches nothing yet.
	explicit Spool(std::string directory) : directory_(std::move(directory)) {}

	const std::string &directory() const noexcept { return directory_; }

	// Whether an answer could be kept: really writes and removes a file, with fsync.
	// Empty, or the reason. For --check and the start; before a provider is called,
	// reserve() is the look, and costs less.
	std::string probe() const;

	// To be called before the provider is. Throws Error: then the call must not be made.
	// Does not wait for the disk. `fence` is above 0.
	Reservation reserve(std::int64_t fence) const;

	// The answers that wait. Gives answers whose process died before it could name them
	// their names, and removes what dead processes reserved and did not use. Throws Error.
	Listing list() const;

	// Reads an answer by its name. Throws Error if that says nothing about the file
	// (no descriptor left, a disk that fails). A `cluster` of another database is the
	// caller's to see.
	Reading read(const std::string &name) const;

	// Renames the file to "<name>.aside", or "<name>.aside.2" and so on where that is
	// taken, and returns a line for the log with the reason; empty: it was gone. Nothing
	// is ever deleted or overwritten. Throws Error.
	std::string set_aside(const std::string &name, std::string_view reason) const;

	// Removes an answer that the database has, for good. Throws Error.
	void remove(const std::string &name) const;

private:
	std::string directory_;
};

} // namespace sidecar::spool
