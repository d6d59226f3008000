#include "keys/sealed_value.hpp"

#include "postgres/member_query.hpp"
#include "tokens/token_codec.hpp"

namespace oauth_tokens
{

namespace
{

struct Info {
	char bytes[kAttemptPurpose.size() + 1 + common::kHashBytes];
	std::size_t size;

	std::string_view view() const { return {bytes, size}; }
};
static_assert(kGrantPurpose.size() <= kAttemptPurpose.size());
static_assert(kSpoolPurpose.size() <= kAttemptPurpose.size());

Info info_of(const SealedSlot &place)
{
	const common::Hash row = flow_hash_of(place.row);
	Info info = {};
	memcpy(info.bytes, place.purpose.data(), place.purpose.size());
	memcpy(info.bytes + place.purpose.size() + 1, row.data(), row.size());
	info.size = place.purpose.size() + 1 + row.size();
	return info;
}

} // namespace

text *seal_in_flow(std::string_view plaintext, const SealedSlot &place, std::uint64_t timestamp)
{
	const std::size_t size = common::fernet::token_chars(plaintext.size());
	text *sealed = static_cast<text *>(palloc(VARHDRSZ + size));
	SET_VARSIZE(sealed, VARHDRSZ + size);
	key_ring_seal_derived(plaintext, info_of(place).view(), timestamp, {VARDATA(sealed), size});
	return sealed;
}

OpenedInFlow open_in_flow(const text *sealed, const SealedSlot &place)
{
	const std::string_view token = view_of(sealed);
	const std::size_t capacity = common::fernet::decoded_capacity(token.size());
	auto *buffer = static_cast<unsigned char *>(palloc(capacity));
	const Opened opened = key_ring_open_derived(token, info_of(place).view(), {buffer, capacity});
	if (opened.position == 0) {
		pfree(buffer);
		return {};
	}
	return {opened.plaintext.data(),
			opened.plaintext.size(),
			capacity,
			opened.position,
			opened.timestamp,
			false,
			opened.position > 1 ? Finding::outdated : Finding::current};
}

// Fernet leaves the plaintext at the buffer's very beginning.
void wipe_opened(const OpenedInFlow &opened)
{
	common::wipe(const_cast<char *>(opened.data), opened.capacity);
	pfree(const_cast<char *>(opened.data));
}

} // namespace oauth_tokens
