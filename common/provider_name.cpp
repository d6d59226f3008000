#include "common/provider_name.hpp"

namespace common
{

namespace
{

bool is_letter_or_digit(char c) noexcept
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_part(std::string_view part) noexcept
{
	if (part.empty() || !is_letter_or_digit(part.front()))
		return false;
	for (const char c : part)
		if (!is_letter_or_digit(c) && c != '_' && c != '-')
			return false;
	return true;
}

} // namespace

bool is_provider_name(std::string_view name) noexcept
{
	const std::size_t dot = name.find('.');
	return is_part(name.substr(0, dot)) &&
		   (dot == std::string_view::npos || is_part(name.substr(dot + 1)));
}

std::string_view provider_base(std::string_view name) noexcept
{
	return name.substr(0, name.find('.'));
}

} // namespace common
