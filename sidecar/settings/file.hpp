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

// What came of it. `open_to_others`: group or everybody may read it.
struct File {
	Secret content;
	bool open_to_others = false;
	int error = 0; // errno; EFBIG where it is too large, EINVAL where it is not a regular file
};
File read_file(const std::string &path, std::size_t largest);

// `path` below `directory` unless it is absolute.
std::string resolved_path(std::string_view path, const std::string &directory);

// A secret's file, without the line break at its end. Nothing, and an error, where
// it cannot be had, or is not one line; the path is not repeated, for somebody may have put the
// secret itself there.
std::optional<Secret> read_secret_file(std::string_view setting, std::string_view path,
									   const std::string &directory, Diagnostics &diagnostics);

// Faults where a file that others will open (a certificate) cannot be read.
// A private key that others may read is worth a warning.
void check_readable(std::string_view setting, const std::string &path, bool is_private,
					Diagnostics &diagnostics);

} // namespace sidecar::settings
