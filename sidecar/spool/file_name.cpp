#include "spool/file_name.hpp"

#include <fmt/format.h>

#include <charconv>

namespace sidecar::spool
{

namespace
{

constexpr std::string_view kAnswer = ".spool";
constexpr std::string_view kReservation = ".tmp";
constexpr std::string_view kAside = ".aside";

std::string stem(const FileName &name)
{
	return name.number == 1 ? fmt::format("{}", name.fence)
							: fmt::format("{}.{}", name.fence, name.number);
}

template <typename Number>
bool read(std::string_view text, Number &number)
{
	const auto end = text.data() + text.size();
	const auto found = std::from_chars(text.data(), end, number);
	return found.ec == std::errc() && found.ptr == end && number > 0;
}

std::optional<FileName> parse_stem(std::string_view text)
{
	FileName name;
	const auto dot = text.find('.');
	if (!read(text.substr(0, dot), name.fence))
		return std::nullopt;
	if (dot != std::string_view::npos && !read(text.substr(dot + 1), name.number))
		return std::nullopt;
	// Each answer has one name: "007" and "7.1" are none.
	return stem(name) == text ? std::optional(name) : std::nullopt;
}

} // namespace

std::string FileName::answer() const
{
	return fmt::format("{}{}", stem(*this), kAnswer);
}

std::string FileName::reservation() const
{
	return fmt::format(".{}{}", stem(*this), kReservation);
}

std::optional<FileName> parse_answer_name(std::string_view name)
{
	if (!name.ends_with(kAnswer))
		return std::nullopt;
	name.remove_suffix(kAnswer.size());
	return parse_stem(name);
}

std::optional<FileName> parse_reservation_name(std::string_view name)
{
	if (!name.starts_with('.'))
		return std::nullopt;
	name.remove_prefix(1);
	if (!name.ends_with(kReservation))
		return std::nullopt;
	name.remove_suffix(kReservation.size());
	return parse_stem(name);
}

bool is_answer(std::string_view name) noexcept
{
	return name.ends_with(kAnswer);
}

bool is_aside(std::string_view name) noexcept
{
	const auto at = name.rfind(kAside);
	if (at == std::string_view::npos)
		return false;
	const std::string_view rest = name.substr(at + kAside.size());
	int number = 0;
	return rest.empty() || (rest.front() == '.' && read(rest.substr(1), number));
}

std::string aside_name(std::string_view name, int number)
{
	return number == 1 ? fmt::format("{}{}", name, kAside)
					   : fmt::format("{}{}.{}", name, kAside, number);
}

} // namespace sidecar::spool
