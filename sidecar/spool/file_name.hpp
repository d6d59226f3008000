// Names in the spool. An answer is "<fence>.spool". Where that name is taken (by a
// database that was restored and counts its fences again, say) it is
// "<fence>.<number>.spool", so that no file is ever overwritten. While it is written, it
// is ".<fence>.tmp". What does not open is "<name>.aside" or "<name>.aside.<number>".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sidecar::spool
{

// How many names are tried before the directory is taken for one that fails.
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

// Whether the name is of the spool's own, though no fence may be in it.
bool is_answer(std::string_view name) noexcept;
bool is_aside(std::string_view name) noexcept;

std::string aside_name(std::string_view name, int number);

} // namespace sidecar::spool
