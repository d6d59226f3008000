// The spool: providers' answers, sealed, on their way into the database
// (OAUTH_SPOOL_DIR). An answer is written before the first try to commit it, and
// removed when the database has it.
//
// Several processes may use one directory, for one database: a reservation belongs to
// its process, an answer to all. Two may hand in one answer at the same time, because
// oauth_refresh_replay() is idempotent. Removing a file that is gone is no error.
//
// All calls block on the disk, so they run on a worker thread, not on the event loop. Any
// number may run at the same time. If the directory was broken and is repaired (a mount, a
// chmod), the next call works.
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
		gone,    // it was removed meanwhile: there is nothing to do
	};
	State state = State::gone;
	Entry entry;
	std::string reason; // "it is not one line of JSON"
};

class Spool
{
public:
	// Does nothing with the directory yet.
	explicit Spool(std::string directory) : directory_(std::move(directory)) {}

	const std::string &directory() const noexcept { return directory_; }

	// Writes and removes a file, with fsync. Throws Error if no answer could be kept. For
	// --check and the start. Before a call of a provider, reserve() does it, and costs less.
	void probe() const;

	// Call it before the provider. If it throws Error, the provider must not be called.
	// Does not wait for the disk. `fence` is above 0.
	Reservation reserve(std::int64_t fence) const;

	// The answers that wait. Names answers whose process died before it could do so, and
	// removes unused reservations of dead processes. Throws Error.
	Listing list() const;

	// Reads an answer by its name. Throws Error if the failure is not the file's own (no
	// descriptor left, a disk that fails). The caller checks `cluster`.
	Reading read(const std::string &name) const;

	// Renames the file to "<name>.aside", or "<name>.aside.2" and so on if that is
	// taken. Returns a line for the log with the reason; empty: the file was gone. Nothing is
	// ever deleted or overwritten. Throws Error.
	std::string set_aside(const std::string &name, std::string_view reason) const;

	// Deletes an answer that the database has. Throws Error.
	void remove(const std::string &name) const;

private:
	std::string directory_;
};

} // namespace sidecar::spool
