// Names in the spool. An answer is "<fence>.spool". If that name is taken (for
// example because a restored database counts its fences again), it is
// "<fence>.<number>.spool", so that no file is ever overwritten. While it is written, it
// is ".<fence>.tmp". A damaged one is "<name>.aside" or "<name>.aside.<number>".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sidecar::spool
{

// How many names are tried before the directory counts as broken.
inline constexpr int kMaxNumber = 1000;

struct FileName {
	std::int64_t fence = 0; // above 0
	int number = 1;         // 1: not in the name

	std::string answer() const;      // 42.spool
	std::string reservation() const; // .42.tmp

	auto operator<=>(const FileName &) const = default;
};

// Nothing if the name is not one that answer() or reservation() gives.
std::optional<FileName> parse_answer_name(std::string_view name);
std::optional<FileName> parse_reservation_name(std::string_view name);

// Whether it is a name of the spool, although it may have no valid fence.
bool is_answer(std::string_view name) noexcept;
bool is_aside(std::string_view name) noexcept;

std::string aside_name(std::string_view name, int number);

} // namespace sidecar::spool
