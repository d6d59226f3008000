// The directory that OAUTH_SPOOL_DIR names, opened.
#pragma once

#include <string>

#include "spool/descriptor.hpp"
#include "spool/error.hpp"

namespace sidecar::spool
{

class SpoolDirectory
{
public:
	// Throws Error if it is missing, not ours or open to others. A symbolic link to
	// it is fine: systemd's DynamicUser= makes one.
	explicit SpoolDirectory(std::string path);

	int get() const noexcept { return descriptor_.get(); }
	const std::string &path() const noexcept { return path_; }

	// The error in errno, of a call for the file, or for the directory itself.
	Error error(std::string_view file = {}) const;
	// Returns once the names in it are safe on disk. Throws Error.
	void sync() const;
	// Never overwrites. Throws Error if the result is none of these.
	enum class Renamed { done, taken, gone };
	Renamed rename(const std::string &from, const std::string &to) const;

private:
	std::string path_;
	Descriptor descriptor_;
};

// Why the contents of the directory may not outlive the machine or the container, for a
// person. Empty: no reason was found.
std::string doubt_about_lasting(const std::string &path);

} // namespace sidecar::spool
