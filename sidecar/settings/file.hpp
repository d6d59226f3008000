// Reading the files that settings come from.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/secret_string.hpp"
#include "settings/diagnostics.hpp"

namespace sidecar::settings
{

inline constexpr std::size_t kLargestSecret = 64 * 1024;
inline constexpr std::size_t kLargestConfiguration = 1024 * 1024;

struct File {
	common::Secret content;
	bool open_to_others = false; // group or others can read it
	int error = 0;               // errno; EFBIG: it is too large; EINVAL: it is no regular file
};
File read_file(const std::string &path, std::size_t largest);

// A relative path is below `directory`.
std::string resolved_path(std::string_view path, const std::string &directory);

// The secret that a file holds, without the line break at its end. If it cannot be read, or
// is not one line: nothing, and an error. The error does not repeat the path, which may be
// the secret itself by mistake.
std::optional<common::Secret> read_secret_file(std::string_view setting, std::string_view path,
											   const std::string &directory,
											   Diagnostics &diagnostics);

// For a file that a library will open (a certificate): an error if it cannot be read or is
// empty, and a warning if it is private and others can read it.
void check_readable(std::string_view setting, const std::string &path, bool is_private,
					Diagnostics &diagnostics);

} // namespace sidecar::settings
