#include "common/token_key.hpp"

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "common/digest.hpp"

namespace common::fernet
{

namespace
{

using Length = std::array<char, 4>;

Length length_of(std::string_view part) noexcept
{
	const auto size = static_cast<std::uint32_t>(part.size());
	return {static_cast<char>(size >> 24), static_cast<char>(size >> 16),
			static_cast<char>(size >> 8), static_cast<char>(size)};
}

std::string_view view_of(const Length &length) noexcept
{
	return {length.data(), length.size()};
}

} // namespace

std::optional<TokenKeyInfo> token_key_info(const TokenPlace &place) noexcept
try {
	const auto &[column, workspace_id, provider, actor_type, actor_id] = place;
	const Length lengths[] = {length_of(column), length_of(workspace_id), length_of(provider),
							  length_of(actor_type), length_of(actor_id)};
	const Digest digest =
		sha256({view_of(lengths[0]), column, view_of(lengths[1]), workspace_id, view_of(lengths[2]),
				provider, view_of(lengths[3]), actor_type, view_of(lengths[4]), actor_id});
	TokenKeyInfo info{};
	std::ranges::copy(kTokenPurpose, info.begin());
	std::ranges::copy(digest, info.begin() + kTokenPurpose.size() + 1);
	return info;
} catch (...) {
	return std::nullopt;
}

} // namespace common::fernet
