// Room on disk for one answer, reserved before the provider is asked.
#pragma once

#include <cstddef>
#include <string>

#include "spool/descriptor.hpp"
#include "spool/directory.hpp"
#include "spool/entry.hpp"
#include "spool/file_name.hpp"

namespace sidecar::spool
{

// The size of a sealed answer of 192 KiB, with room for the rest of its entry.
inline constexpr std::size_t kReservedBytes = 320 * 1024;

// The file ".<fence>.tmp", whose blocks are allocated, so that a disk that fills up
// cannot refuse the answer. (On file systems that copy on write, such as ZFS, it can.)
// It is locked (flock) while this object lives, so that list() in any process skips it.
class Reservation
{
public:
	Reservation(SpoolDirectory directory, std::int64_t fence); // by Spool::reserve()
	Reservation(Reservation &&) noexcept = default;
	Reservation &operator=(Reservation &&) = delete;
	Reservation(const Reservation &) = delete;
	Reservation &operator=(const Reservation &) = delete;
	// Removes what was not written.
	~Reservation();

	// Writes the entry. Returns its name, for Spool::remove(), once file and name are safe on
	// disk. Blocks for two fsyncs: for a worker thread, not for the event
	// loop. Call it once. Throws Error if the disk fails; a complete file then stays,
	// and Spool::list() finds it later.
	std::string write(const Entry &entry);

	// Writes as much as write() would, and undoes that. Throws Error.
	void rehearse();

private:
	bool create(const FileName &name); // false: the name is taken
	void allocate() const;
	void put(std::string_view bytes) const;
	std::string publish();

	SpoolDirectory directory_;
	FileName name_;
	Descriptor file_;
	bool is_complete_ = false;
};

} // namespace sidecar::spool
